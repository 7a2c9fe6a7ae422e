// What a frontend remembers of its requests: those that run, and those that ended.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFixture, report, success } from "./observed.ts";

describe("a request", () => {
  test("is a tree while it runs, and another when it is over", () => {
    const { find, begin, advance } = createFixture(10);
    const running = report({ endedAt: undefined, outcome: undefined, trailer: {} });
    const record = begin({ xRequestId: "order-1" }, [running]);
    advance(4);
    record.responded(200);
    expect(find("order-1")).toMatchObject({
      request_id: "request-1",
      state: "running",
      request: {
        elapsed_ms: 4,
        output_tokens: 5,
        attempts: 1,
        http_status: 200,
        responded_at: "2026-11-24T00:00:00.004000Z",
        uri: "/v1/chat/completions",
      },
      attempts: [{ attempt: 0, worker_id: "7", sent: true, workers: [] }],
      problems: [],
    });
    Object.assign(running, report());
    advance(6);
    record.end(success);
    record.end({ status: "error" });
    expect(find("request-1")).toEqual({
      request_id: "request-1",
      x_request_id: "order-1",
      trace_id: "trace-1",
      state: "completed",
      request: {
        span_id: "span-1",
        endpoint: "chat_completions",
        model: "mock",
        request_type: "stream",
        method: "POST",
        uri: "/v1/chat/completions",
        received_at: "2026-11-24T00:00:00.000000Z",
        responded_at: "2026-11-24T00:00:00.004000Z",
        ended_at: "2026-11-24T00:00:00.010000Z",
        http_status: 200,
        ...success,
      },
      attempts: [
        {
          attempt: 0,
          span_id: "attempt-span",
          parent_id: "span-1",
          worker_id: "7",
          started_at: "2026-11-24T00:00:00.001000Z",
          ended_at: "2026-11-24T00:00:00.009000Z",
          elapsed_ms: 8,
          outcome: "success",
          sent: true,
          workers: [
            {
              request_id: "request-1",
              trace_id: "trace-1",
              span_id: "worker-span",
              parent_id: "attempt-span",
              instance_id: "7",
              attempt: 0,
              items: 4,
              elapsed_ms: 6,
              ttft_ms: 2,
            },
          ],
        },
      ],
      strays: [],
      // The client's id did not reach the worker.
      problems: [{ kind: "contradiction", message: "the worker of attempt 0 saw x_request_id none, sent was order-1" }],
    });
  });

  test.each([["request-1"], ["order-1"], ["trace-1"]])("is found by %s", (id) => {
    const { find, begin } = createFixture(10);
    begin({ xRequestId: "order-1" });
    expect(find(id)?.request_id).toBe("request-1");
    expect(find(`${id}0`)).toBeUndefined();
  });

  test("is found by the id of its answer", () => {
    const { find, begin } = createFixture(10);
    const requestId = "f52be7a9-8809-408c-9140-4fd7ca0dd680";
    begin({ requestId });
    for (const prefix of ["chatcmpl-", "cmpl-", "msg_"]) expect(find(prefix + requestId)?.request_id).toBe(requestId);
  });

  test("has ended when it ended, however long its last lines take", () => {
    const { find, begin, advance, now } = createFixture(10);
    const record = begin({}, [report()]);
    advance(10);
    const endedAt = now();
    advance(80);
    record.end(success, undefined, endedAt);
    expect(find("request-1")).toMatchObject({
      request: { ended_at: "2026-11-24T00:00:00.010000Z", elapsed_ms: 10 },
      problems: [],
    });
  });

  test("that lied about its ids is found out", () => {
    const { find, begin, advance } = createFixture(10);
    const seen = {
      request_id: "other",
      trace_id: "trace-1",
      parent_id: "attempt-span",
      span_id: "s",
      instance_id: "8",
      attempt: 1,
    };
    const record = begin({}, [report({ trailer: { seen, items: 4, elapsed_ms: 6 } })]);
    advance(10);
    record.end(success);
    const problems = find("request-1")?.problems.map(({ message }) => message);
    expect(problems).toEqual([
      "instance_id of the worker of attempt 0 at 7 is 8, but the attempt's worker_id is 7",
      "attempt at the worker is 1, but request.attempt is 0",
      "the worker of attempt 0 saw request_id other, sent was request-1",
    ]);
  });

  test("with an ambiguous client id is the newest; the others are named", () => {
    const { find, begin, advance } = createFixture(10);
    for (let index = 0; index < 3; index += 1) {
      begin({ xRequestId: "same" }).end({ status: "success", attempts: 0 });
      advance(1_000);
    }
    begin({ xRequestId: "same" });
    expect(find("same")).toMatchObject({
      request_id: "request-4",
      state: "running",
      others: [
        { request_id: "request-3", state: "completed", received_at: "2026-11-24T00:00:02.000000Z" },
        { request_id: "request-2", state: "completed" },
        { request_id: "request-1", state: "completed" },
      ],
    });
    expect(find("request-1")).not.toHaveProperty("others");
    begin({ requestId: "request-1" });
    expect(find("request-1")).toMatchObject({
      state: "running",
      others: [{ request_id: "request-1", span_id: "span-1" }],
    });
    expect(find("span-1")).toMatchObject({ request_id: "request-1", state: "completed" }); // the same id again: spans tell them apart
  });
});

test("each request is remembered as itself, whatever the one before it was", () => {
  const text = fc.constantFrom("a", "b");
  const maybe = fc.option(text, { nil: undefined });
  const asked = fc.record({ uri: maybe, endpoint: text, model: text, modelRequested: maybe });
  fc.assert(
    fc.property(fc.array(asked, { minLength: 1, maxLength: 5 }), (all) => {
      const { find, begin } = createFixture(10);
      for (const each of all) begin({}, [], each).end(success);
      const found = all.map((_, index) => find(`request-${index + 1}`)?.request);
      expect(
        found.map((request) => ({
          uri: request?.uri,
          endpoint: request?.endpoint,
          model: request?.model,
          modelRequested: request?.model_requested,
        })),
      ).toEqual(all);
    }),
  );
});

test("a clock that is set shows in the next request; one that runs keeps the clock it began with, and its order", () => {
  const { find, begin, advance, setClock } = createFixture(10);
  const record = begin({}, [report()]);
  setClock(-3_600_000);
  advance(10);
  record.responded(200);
  record.end(success);
  expect(find("request-1")).toMatchObject({
    request: {
      received_at: "2026-11-24T00:00:00.000000Z",
      responded_at: "2026-11-24T00:00:00.010000Z",
      ended_at: "2026-11-24T00:00:00.010000Z",
    },
    problems: [],
  });
  begin({});
  expect(find("request-2")).toMatchObject({ request: { received_at: "2026-11-23T23:00:00.010000Z" } });
});
