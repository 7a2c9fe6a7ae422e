// What a frontend remembers of its requests: those that run, the last that ended, and never more than it may.
import { describe, expect, test } from "vitest";
import { RuntimeError, type AttemptReport, type Identity } from "@dyn/runtime";
import { createHistory, type FoundTree, type Reader, type RequestRecord } from "../../packages/lineage/src/history.ts";

interface Fixture {
  readonly history: {
    /** As an operator, unless `reader` is somebody else. */
    find(id: string, reader?: Reader): FoundTree | undefined;
  };
  readonly begin: (
    identity: Partial<Identity>,
    reports?: readonly AttemptReport[],
    fields?: Record<string, unknown>,
    owner?: string,
  ) => RequestRecord;
  readonly advance: (ms: number) => void;
  readonly now: () => number;
  /** Set the system's clock. */
  readonly setClock: (ms: number) => void;
}

const operator: Reader = { owner: undefined, seesAll: true };

function createFixture(size: number): Fixture {
  let clock = 0;
  let offset = Date.UTC(2026, 10, 24);
  let count = 0;
  const now = (): number => clock;
  const history = createHistory({ size, now, clockOffset: () => offset });
  return {
    history: { find: (id, reader = operator) => history.find(id, reader) },
    now,
    begin(identity, reports = [], fields = {}, owner) {
      count += 1;
      const trace = { traceId: `trace-${count}`, spanId: `span-${count}`, flags: 1 };
      return history.begin({
        identity: { requestId: `request-${count}`, trace, ...identity },
        owner,
        fields: {
          endpoint: "chat_completions",
          model: "mock",
          request_type: "stream",
          method: "POST",
          uri: "/v1/chat/completions",
          ...fields,
        },
        startedAt: clock,
        routes: [reports],
        measure: () => ({ output_tokens: 5 }),
      });
    },
    advance(ms) {
      clock += ms;
    },
    setClock(ms) {
      offset += ms;
    },
  };
}

function report(more: Partial<AttemptReport> = {}): AttemptReport {
  const seen = {
    request_id: "request-1",
    trace_id: "trace-1",
    parent_id: "attempt-span",
    span_id: "worker-span",
    instance_id: "7",
    attempt: 0,
  };
  return {
    number: 0,
    workerId: "7",
    spanId: "attempt-span",
    startedAt: 1,
    endedAt: 9,
    isSent: true,
    outcome: "success",
    failure: undefined,
    trailer: { seen, items: 4, elapsed_ms: 6, ttft_ms: 2 },
    ...more,
  };
}

const success = {
  status: "success",
  attempts: 1,
  worker_id: "7",
  prefill_worker_id: "7",
  decode_worker_id: "7",
  output_tokens: 3,
  elapsed_ms: 10,
};

describe("a request", () => {
  test("is a tree while it runs, and another when it is over", () => {
    const { history, begin, advance, now } = createFixture(10);
    const running = report({ endedAt: undefined, outcome: undefined, trailer: {} });
    const record = begin({ xRequestId: "order-1" }, [running]);
    advance(4);
    record.responded(200);
    expect(history.find("order-1")).toMatchObject({
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
    record.finish(success, now());
    record.finish({ status: "error" }, now());
    expect(history.find("request-1")).toEqual({
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
    const { history, begin } = createFixture(10);
    begin({ xRequestId: "order-1" });
    expect(history.find(id)?.request_id).toBe("request-1");
    expect(history.find(`${id}0`)).toBeUndefined();
  });

  test("is found by the id of its answer", () => {
    const { history, begin } = createFixture(10);
    const requestId = "f52be7a9-8809-408c-9140-4fd7ca0dd680";
    begin({ requestId });
    for (const prefix of ["chatcmpl-", "cmpl-", "msg_"])
      expect(history.find(prefix + requestId)?.request_id).toBe(requestId);
  });

  test("has ended when it ended, however long its last lines take", () => {
    const { history, begin, advance, now } = createFixture(10);
    const record = begin({}, [report()]);
    advance(10);
    const endedAt = now();
    advance(80);
    record.finish(success, endedAt);
    expect(history.find("request-1")).toMatchObject({
      request: { ended_at: "2026-11-24T00:00:00.010000Z", elapsed_ms: 10 },
      problems: [],
    });
  });

  test("that lied about its ids is found out", () => {
    const { history, begin, advance, now } = createFixture(10);
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
    record.finish(success, now());
    const problems = history.find("request-1")?.problems.map(({ message }) => message);
    expect(problems).toEqual([
      "instance_id of the worker of attempt 0 at 7 is 8, but the attempt's worker_id is 7",
      "attempt at the worker is 1, but request.attempt is 0",
      "the worker of attempt 0 saw request_id other, sent was request-1",
    ]);
  });

  test("with an ambiguous client id is the newest; the others are named", () => {
    const { history, begin, advance, now } = createFixture(10);
    for (let index = 0; index < 3; index += 1) {
      begin({ xRequestId: "same" }).finish({ status: "success", attempts: 0 }, now());
      advance(1_000);
    }
    begin({ xRequestId: "same" });
    expect(history.find("same")).toMatchObject({
      request_id: "request-4",
      state: "running",
      others: [
        { request_id: "request-3", state: "completed", received_at: "2026-11-24T00:00:02.000000Z" },
        { request_id: "request-2", state: "completed" },
        { request_id: "request-1", state: "completed" },
      ],
    });
    expect(history.find("request-1")).not.toHaveProperty("others");
    begin({ requestId: "request-1" });
    expect(history.find("request-1")).toMatchObject({
      state: "running",
      others: [{ request_id: "request-1", span_id: "span-1" }],
    });
    expect(history.find("span-1")).toMatchObject({ request_id: "request-1", state: "completed" }); // the same id again: spans tell them apart
  });
});

test("a clock that is set shows in the next request; one that runs keeps the clock it began with, and its order", () => {
  const { history, begin, advance, setClock, now } = createFixture(10);
  const record = begin({}, [report()]);
  setClock(-3_600_000);
  advance(10);
  record.responded(200);
  record.finish(success, now());
  expect(history.find("request-1")).toMatchObject({
    request: {
      received_at: "2026-11-24T00:00:00.000000Z",
      responded_at: "2026-11-24T00:00:00.010000Z",
      ended_at: "2026-11-24T00:00:00.010000Z",
    },
    problems: [],
  });
  begin({});
  expect(history.find("request-2")).toMatchObject({ request: { received_at: "2026-11-23T23:00:00.010000Z" } });
});

describe("the ring", () => {
  test("keeps the last finished ones, and all that run", () => {
    const { history, begin, now } = createFixture(3);
    begin({}); // request-1 goes on
    for (let index = 0; index < 10; index += 1) begin({}).finish({ status: "success", attempts: 0 }, now());
    const known = Array.from({ length: 11 }, (_, index) => `request-${index + 1}`).filter((id) => history.find(id));
    expect(known).toEqual(["request-1", "request-9", "request-10", "request-11"]);
  });

  test("keeps nothing long, whoever sends it", () => {
    const { history, begin, now } = createFixture(3);
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
    begin({}, reports, { uri: long, model: long, model_requested: long, unknown: long }).finish(
      { ...success, error: long },
      now(),
      failure,
    );
    const found = history.find("request-1");
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
    const { history, begin, now } = createFixture(10);
    begin({ xRequestId: "ann-1", trace }, [], {}, "ann").finish(success, now());
    begin({ xRequestId: "ann-2" }, [], {}, "ann");
    begin({ xRequestId: "nobody-1" }).finish(success, now());
    for (const id of ["request-1", "ann-1", "one-trace", "request-2", "ann-2"]) {
      expect([ann, operator, bob, nobody].map((reader) => history.find(id, reader) !== undefined)).toEqual([
        true,
        true,
        false,
        false,
      ]);
    }
    expect([ann, operator, bob, nobody].map((reader) => history.find("nobody-1", reader) !== undefined)).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  test("without a word of others that have the same client id or trace", () => {
    const { history, begin, advance } = createFixture(10);
    for (const owner of ["ann", "bob", "ann"]) {
      begin({ xRequestId: "same", trace }, [], {}, owner);
      advance(1);
    }
    expect(history.find("same", bob)).toMatchObject({ request_id: "request-2" });
    expect(history.find("same", bob)).not.toHaveProperty("others");
    expect(history.find("one-trace", ann)).toMatchObject({
      request_id: "request-3",
      others: [{ request_id: "request-1" }],
    });
    expect(history.find("same")).toMatchObject({ others: [{ request_id: "request-2" }, { request_id: "request-1" }] });
  });

  test("with the errors that its client was told, and to operators with those of the log", () => {
    const { history, begin, now } = createFixture(10);
    const lost = new RuntimeError("disconnected", "10.0.0.7:1234 closed the connection");
    const none = new RuntimeError("unavailable", "no instance serves a/b/c", {
      publicMessage: "no instance serves the endpoint",
    });
    const record = begin({}, [report({ outcome: "worker_disconnected", failure: lost })], {}, "ann");
    expect(history.find("request-1", ann)?.attempts[0]).toMatchObject({
      error: "the connection to the worker was lost",
      error_type: "disconnected",
    });
    record.finish({ status: "error", error: none.message, attempts: 1 }, now(), none);
    expect(history.find("request-1", ann)).toMatchObject({
      request: { error: "no instance serves the endpoint" },
      attempts: [{ error: "the connection to the worker was lost" }],
    });
    expect(history.find("request-1")).toMatchObject({
      request: { error: none.message },
      attempts: [{ error: lost.message }],
    });
    expect(JSON.stringify(history.find("request-1", ann))).not.toMatch(/10\.0\.0\.7|a\/b\/c/);
  });
});
