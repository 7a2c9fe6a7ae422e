// What a frontend remembers is never more than it may be, and shown to nobody but those who may see it.
import { describe, expect, test } from "vitest";
import { RuntimeError } from "@dyn/runtime";
import type { Reader } from "../../packages/lineage/src/history.ts";
import { createFixture, operator, report, success } from "./observed.ts";

describe("the ring", () => {
  test("keeps the last finished ones, and all that run", () => {
    const { find, begin } = createFixture(3);
    begin({}); // request-1 goes on
    for (let index = 0; index < 10; index += 1) begin({}).end({ status: "success", attempts: 0 });
    const known = Array.from({ length: 11 }, (_, index) => `request-${index + 1}`).filter((id) => find(id));
    expect(known).toEqual(["request-1", "request-9", "request-10", "request-11"]);
  });

  test("keeps nothing long, whoever sends it", () => {
    const { find, begin } = createFixture(3);
    const long = "x".repeat(1_000_000);
    const seen = {
      request_id: long,
      trace_id: long,
      parent_id: long,
      span_id: long,
      instance_id: long,
      attempt: 0,
      more: long,
    };
    const failure = new RuntimeError("unavailable", long);
    const reports = Array.from({ length: 100 }, () => report({ failure, trailer: { seen, items: 1, elapsed_ms: 1 } }));
    begin({}, reports, { uri: long, model: long, modelRequested: long }).end(success, failure);
    const found = find("request-1");
    expect(found?.attempts).toHaveLength(16);
    const { problems, ...tree } = found ?? { problems: [] };
    expect(JSON.stringify(tree).length).toBeLessThan(16 * 10 * 260);
    expect(problems.every(({ message }) => message.length < 1_000)).toBe(true);
  });
});

describe("a request is shown", () => {
  const ann: Reader = { owner: "ann", seesAll: false };
  const bob: Reader = { owner: "bob", seesAll: false };
  const nobody: Reader = { owner: undefined, seesAll: false };
  const trace = { traceId: "one-trace", spanId: "span", flags: 1 };

  test("to its owner and to operators, whatever it is asked for by, and to nobody else", () => {
    const { find, begin } = createFixture(10);
    begin({ xRequestId: "ann-1", trace }, [], { owner: "ann" }).end(success);
    begin({ xRequestId: "ann-2" }, [], { owner: "ann" });
    begin({ xRequestId: "nobody-1" }).end(success);
    for (const id of ["request-1", "ann-1", "one-trace", "request-2", "ann-2"]) {
      expect([ann, operator, bob, nobody].map((reader) => find(id, reader) !== undefined)).toEqual([
        true,
        true,
        false,
        false,
      ]);
    }
    expect([ann, operator, bob, nobody].map((reader) => find("nobody-1", reader) !== undefined)).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  test("without a word of others that have the same client id or trace", () => {
    const { find, begin, advance } = createFixture(10);
    for (const owner of ["ann", "bob", "ann"]) {
      begin({ xRequestId: "same", trace }, [], { owner });
      advance(1);
    }
    expect(find("same", bob)).toMatchObject({ request_id: "request-2" });
    expect(find("same", bob)).not.toHaveProperty("others");
    expect(find("one-trace", ann)).toMatchObject({
      request_id: "request-3",
      others: [{ request_id: "request-1" }],
    });
    expect(find("same")).toMatchObject({ others: [{ request_id: "request-2" }, { request_id: "request-1" }] });
  });

  test("with the errors that its client was told, and to operators with those of the log", () => {
    const { find, begin } = createFixture(10);
    const lost = new RuntimeError("disconnected", "10.0.0.7:1234 closed the connection");
    const none = new RuntimeError("unavailable", "no instance serves a/b/c", {
      publicMessage: "no instance serves the endpoint",
    });
    const record = begin({}, [report({ outcome: "worker_disconnected", failure: lost })], { owner: "ann" });
    expect(find("request-1", ann)?.attempts[0]).toMatchObject({
      error: "the connection to the worker was lost",
      error_type: "disconnected",
    });
    record.end({ status: "error", attempts: 1 }, none);
    expect(find("request-1", ann)).toMatchObject({
      request: { error: "no instance serves the endpoint" },
      attempts: [{ error: "the connection to the worker was lost" }],
    });
    expect(find("request-1")).toMatchObject({
      request: { error: none.message },
      attempts: [{ error: lost.message }],
    });
    expect(JSON.stringify(find("request-1", ann))).not.toMatch(/10\.0\.0\.7|a\/b\/c/);
  });
});
