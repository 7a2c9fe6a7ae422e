import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSaneClientId, isUuid } from "../../../packages/runtime/src/ids.ts";
import { selectBaggage } from "../../../packages/runtime/src/trace/baggage.ts";
import {
  compareLineage,
  fromPlaneHeaders,
  toPlaneHeaders,
  type Identity,
} from "../../../packages/runtime/src/trace/identity.ts";
import {
  acceptTrace,
  childSpan,
  formatTraceparent,
  parseTraceparent,
} from "../../../packages/runtime/src/trace/traceparent.ts";
import { acceptTracestate } from "../../../packages/runtime/src/trace/tracestate.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

describe("traceparent", () => {
  test.each([
    [`00-${traceId}-${spanId}-01`, 1],
    [`00-${traceId}-${spanId}-00`, 0],
    [`00-${traceId}-${spanId}-03`, 3],
    [`00-${traceId}-${spanId}-ff`, 3],
    [`01-${traceId}-${spanId}-01-what-comes-later`, 1],
    [`cc-${traceId}-${spanId}-01`, 1],
  ])("%s is accepted", (header, flags) => {
    expect(parseTraceparent(header)).toEqual({ traceId, spanId, flags });
  });

  test.each([
    "",
    "00",
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-extra`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}${spanId}-01`,
  ])("%j starts a new trace", (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
    const trace = acceptTrace(header, "vendor=1");
    expect(trace.parentId).toBeUndefined();
    expect(trace.tracestate).toBeUndefined();
    expect(trace.traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
  });

  test("a child stays in the trace, below its parent, with flags and tracestate", () => {
    const parent = acceptTrace(`00-${traceId}-${spanId}-02`, "vendor=1");
    const child = childSpan(parent);
    expect(child).toMatchObject({ traceId, parentId: parent.spanId, flags: 2, tracestate: "vendor=1" });
    expect(formatTraceparent(child)).toBe(`00-${traceId}-${child.spanId}-02`);
  });
});

describe("any tracestate", () => {
  const key = fc.stringMatching(/^[a-z0-9][a-z0-9_\-*/@]{0,20}$/);
  const value = fc.stringMatching(/^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,200}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/);
  const blanks = fc.stringMatching(/^[ \t]{0,3}$/);
  const lists = fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 32 });

  test("that is valid keeps whole members in order, all of them up to 512 characters, and is the same when read again", () => {
    fc.assert(
      fc.property(lists, blanks, (list, blank) => {
        const members = list.map(([name, text]) => `${name}=${text}`);
        const kept = acceptTracestate(members.join(`${blank},${blank}`));
        const all = members.join(",");
        if (all.length <= 512) expect(kept ?? "").toBe(all);
        expect((kept ?? "").length).toBeLessThanOrEqual(512);
        const survivors = (kept ?? "").split(",");
        if (kept !== undefined) expect(members.filter((member) => survivors.includes(member))).toEqual(survivors);
        if (kept !== undefined) expect(acceptTracestate(kept)).toBe(kept);
      }),
    );
  });

  test("of any text gives a valid one or none, in little time", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 600, unit: "binary" }), (text) => {
        const kept = acceptTracestate(text);
        if (kept !== undefined) expect(acceptTracestate(kept)).toBe(kept);
      }),
    );
    const startedAt = performance.now();
    for (const text of [`a=x${" ".repeat(500_000)}y`, ",".repeat(500_000), "a=1,".repeat(100_000), "a".repeat(1 << 24)])
      acceptTracestate(text);
    expect(performance.now() - startedAt).toBeLessThan(10_000); // what takes the square of their length takes minutes
  });
});

describe("identity on the plane", () => {
  const identity: Identity = {
    requestId: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b",
    xRequestId: "mine",
    trace: { traceId, spanId, flags: 1, tracestate: "vendor=1" },
  };

  test("arrives as it left, one span further down", () => {
    const there = fromPlaneHeaders(toPlaneHeaders(identity));
    expect(there).toMatchObject({
      requestId: identity.requestId,
      xRequestId: "mine",
      trace: { traceId, parentId: spanId, tracestate: "vendor=1" },
    });
  });

  test("a request id that is no UUID is replaced on arrival", () => {
    const there = fromPlaneHeaders({ ...toPlaneHeaders(identity), "request-id": "x status=200" });
    expect(isUuid(there.requestId)).toBe(true);
  });

  test("every id that came back different is named", () => {
    const seen = {
      request_id: identity.requestId,
      x_request_id: "mine",
      trace_id: traceId,
      parent_id: spanId,
      span_id: "s",
      instance_id: "7",
      attempt: 0,
    };
    expect(compareLineage(identity, "7", 0, seen)).toEqual([]);
    for (const name of ["request_id", "x_request_id", "trace_id", "parent_id", "instance_id", "attempt"]) {
      expect(compareLineage(identity, "7", 0, { ...seen, [name]: "other" })).toEqual([name]);
    }
    expect(compareLineage(identity, "7", 0, {})).toHaveLength(6);
  });
});

describe("baggage", () => {
  const allowed = new Set(["user", "tier"]);

  test.each([
    ["user=ada", "user=ada"],
    ["user=ada, secret=x,tier=gold;prop=1", "user=ada,tier=gold;prop=1"],
    ["secret=x", undefined],
    ["user", undefined],
    ["user=\u0001", undefined],
    [Array.from({ length: 65 }, () => "user=a").join(","), undefined],
    [`user=${"x".repeat(8_192)}`, undefined],
  ])("of %j the allowed members travel", (header, kept) => {
    expect(selectBaggage(header, allowed)).toBe(kept);
  });

  test("none travels when no key is allowed", () => {
    expect(selectBaggage("user=ada", new Set())).toBeUndefined();
  });
});

test("UUIDs in all of Dynamo's spellings are ids, other text is not", () => {
  const id = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
  for (const text of [id, id.toUpperCase(), id.replaceAll("-", ""), `{${id}}`, `urn:uuid:${id}`])
    expect(isUuid(text)).toBe(true);
  for (const text of ["", "x", `${id}0`, ` ${id}`, `{${id}`]) expect(isUuid(text)).toBe(false);
});

test("client ids are visible ASCII of at most 256 characters", () => {
  for (const text of ["a", "~!x", "x".repeat(256)]) expect(isSaneClientId(text)).toBe(true);
  for (const text of ["", "a b", "é", "a\n", "x".repeat(257)]) expect(isSaneClientId(text)).toBe(false);
});
