// What outlives its request keeps nothing of the request alive: measured as the heap that is left when only the small things are held.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RuntimeError, type Identity } from "@dyn/runtime";
import { peekModel } from "../../packages/frontend/src/inference/fields.ts";
import { readSources } from "../../packages/frontend/src/http/exact-json.ts";
import { createHistory } from "../../packages/lineage/src/history.ts";
import type { ObservedRequest, ObservedStart } from "../../packages/lineage/src/kept.ts";
import { excerpt } from "../../packages/runtime/src/excerpt.ts";
import { formatJsonLine, formatReadable } from "../../packages/runtime/src/logging/format.ts";
import { writeLine } from "../support/logger.ts";
import { selectBaggage } from "../../packages/runtime/src/trace/baggage.ts";
import { endSpan, noSpan } from "../../packages/runtime/src/trace/spans.ts";
import { parseTraceparent } from "../../packages/runtime/src/trace/traceparent.ts";
import { acceptTracestate } from "../../packages/runtime/src/trace/tracestate.ts";
import { decodeHello } from "../../packages/runtime/src/wire/hello.ts";
import { decodeError } from "../../packages/runtime/src/wire/endings.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const mib = 1024 * 1024;

// Flat, another one each time, and in the heap: Node keeps the characters of those above 1 MB outside.
const long = (first: string, bytes = mib / 2): string =>
  Buffer.alloc(bytes, `${first}${"x".repeat(64)}`).toString("latin1");

let held: unknown[] = [];
beforeEach(() => (held = []));
afterEach(() => (held = []));

/** MiB that are held when `make` has made `count` things that are kept. */
function heldMib(make: () => unknown, count = 20): number {
  make(); // what is made once
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < count; index += 1) held.push(make());
  collect();
  return (process.memoryUsage().heapUsed - before) / mib;
}

const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 1 };
const history = createHistory({ size: 1_000, now: () => 0, clockOffset: () => 0 });

const withBaggage = (baggage: string): Identity => ({ requestId: "r", trace, baggage });

function remember(
  { modelRequested, ...more }: Partial<ObservedStart> & { readonly modelRequested?: string },
  failure?: RuntimeError,
): void {
  const report = {
    number: 0,
    instanceId: "7",
    spanId: "b7ad6b7169203331",
    startedAt: 0,
    endedAt: 1,
    isSent: true,
    outcome: "error",
    failure,
    trailer: {},
  } as const;
  const start = {
    identity: { requestId: "r", trace },
    owner: undefined,
    method: "GET",
    uri: "/",
    endpoint: "e",
    requestType: "unary",
    startedAt: 0,
    ...more,
  };
  const request: ObservedRequest = {
    start,
    model: "m",
    modelRequested,
    respondedAt: undefined,
    httpStatus: undefined,
    endedAt: 1,
    failure,
    answers: [{ reports: [report] }],
    facts: {},
  };
  history.begin(request);
  history.end(request);
}

test("a slice keeps its text: without that this file would prove nothing", () => {
  expect(heldMib(() => long("a").slice(0, 256))).toBeGreaterThan(5);
});

describe("keeps nothing of a long text:", () => {
  const version1 = (): string => `01-${trace.traceId}-${trace.spanId}-01-${long("b")}`;
  const state = `${"k".repeat(20)}=${"v".repeat(40)}`;
  const kept: ReadonlyArray<readonly [string, () => unknown]> = [
    ["an excerpt", () => excerpt(long("a"), 256)],
    ["an excerpt of a slice that is short enough already", () => excerpt(long("a").slice(5, 99), 256)],
    ["the name of a model, for log, span and history", () => peekModel({ model: long("m") })],
    ["a field of the history", () => remember({ uri: long("u").slice(0, 200) })],
    ["a field of the history that is long", () => remember({ modelRequested: long("u") })],
    ["what travels with the ids in the history", () => remember({ identity: withBaggage(long("b")) })],
    ["an attempt's error in the history", () => remember({}, new RuntimeError("internal", long("e").slice(0, 200)))],
    ["the ids of a traceparent", () => parseTraceparent(version1())],
    ["the error of a worker", () => decodeError(encodePayload({ code: "internal", message: long("e") }))],
    [
      "the agent of a HELLO",
      () => decodeHello(encodePayload({ version: 1, agent: long("a"), max_frame_bytes: 65_536, max_streams: 1 })),
    ],
    [
      "the source of a number",
      () => readSources(Buffer.from(`{"seed":12345678901234567890,"x":"${long("x")}"}`), new Set(["seed"])),
    ],
    ["a line in JSON", () => formatJsonLine(writeLine({ uri: long("u").slice(0, 200) }, "m"))],
    ["a readable line", () => formatReadable(writeLine({ uri: long("u").slice(0, 200) }, "m"))],
  ];
  test.each(kept)("%s", (_name, make) => {
    expect(heldMib(make)).toBeLessThan(2);
  });

  test("the members of a tracestate", () => {
    const header = (): string => `${state}${" ,".repeat(8_000)}`;
    expect(acceptTracestate(header())).toBe(state);
    expect(heldMib(() => acceptTracestate(header()), 800)).toBeLessThan(2);
  });

  test("one member of a list of baggage", () => {
    const header = (): string => `a=${"1".repeat(20)},b=${"2".repeat(8_000)}`;
    expect(selectBaggage(header(), new Set(["a"]))).toBe(`a=${"1".repeat(20)}`);
    expect(heldMib(() => selectBaggage(header(), new Set(["a"])), 1_200)).toBeLessThan(2);
  });

  test("the message of a span's failure", () => {
    const fail = (): string => {
      let said = "";
      const failure = new RuntimeError("internal", long("e"));
      endSpan({ ...noSpan, isRecording: true, fail: (_type, message) => (said = message) }, failure, "error");
      return said;
    };
    expect(fail()).toHaveLength(1_024);
    expect(heldMib(fail)).toBeLessThan(2);
  });
});

test("an excerpt is the beginning of a text, and the whole of a short one", () => {
  expect(excerpt("hello big world, and more", 15)).toBe("hello big world");
  for (const text of ["", "short", "a text of some length", "ein längerer Text 😀"]) expect(excerpt(text)).toBe(text);
  expect(excerpt(`${"x".repeat(20)}😀`, 21)).toBe(`${"x".repeat(20)}\ufffd`);
});
