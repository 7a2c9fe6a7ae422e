// What travels on with the calls that a handler makes.
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import type { CallOptions, Client, ClientOptions, RequestContext } from "../../packages/runtime/src/index.ts";
import { serveModel } from "../../packages/runtime/src/llm.ts";
import type { ModelJob } from "../../packages/runtime/src/internal.ts";
import { eventually } from "../support/cluster.ts";
import { collect, failureOf } from "./peers.ts";
import { ids, inner, requestId, startServices, traceId, untilCancelled } from "./services.ts";

describe("a call that a handler makes", () => {
  test("has the ids of the request, below the worker's span in the same trace", async () => {
    const contexts: RequestContext[] = [];
    await using services = await startServices(async (toInner, context) => {
      contexts.push(context);
      await new Promise((resolve) => setImmediate(resolve));
      return toInner.call({});
    });
    await services.client.call({}, ids);
    const [asked, called] = [contexts[0], services.seen[0]?.context];
    const travelled = { requestId, xRequestId: "mine", tracestate: "vendor=1", baggage: "tenant=acme" };
    expect(asked).toMatchObject(travelled);
    expect(called).toMatchObject(travelled);
    expect(called?.trace.traceId).toBe(traceId);
    const line = await eventually("the line of the call", () =>
      services.lines.find(
        ({ message, caller_span_id }) =>
          message === "route request completed" && caller_span_id === asked?.trace.spanId,
      ),
    );
    expect(line).toMatchObject({ request_id: requestId, trace_id: traceId, span_id: called?.trace.parentId });
  });

  test("has them in every step of a generator, and in what it begins", async () => {
    await using services = await startServices(async () => null);
    const toInner = services.outer.client<unknown, unknown>(inner);
    await services.outer.endpoint("dyn://test.outer.stream").serve(async function* () {
      for (let step = 0; step < 3; step += 1) {
        await Promise.all([toInner.call({}), collect(toInner.generate(null))]);
        yield step;
      }
    });
    await using caller = await services.open();
    await collect(caller.client("dyn://test.outer.stream").generate(null, ids));
    expect(services.seen.map(({ context }) => context.requestId)).toEqual(Array.from({ length: 6 }, () => requestId));
    expect(new Set(services.seen.map(({ context }) => context.trace.traceId))).toEqual(new Set([traceId]));
  });

  test("has those of its own request, whatever others run", async () => {
    await using services = await startServices(async (toInner, _context, request) => {
      for (let turn = 0; turn < 3; turn += 1) await toInner.call(request);
      return null;
    });
    const numbers = Array.from({ length: 10 }, (_, index) => index);
    await Promise.all(numbers.map((number) => services.client.call({}, { xRequestId: `r${number}` })));
    const counts = new Map<string, number>();
    for (const { context } of services.seen) {
      const { xRequestId = "" } = context;
      counts.set(xRequestId, (counts.get(xRequestId) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(numbers.map((number) => [`r${number}`, 3])));
  });

  test("has the time that is left", async () => {
    await using services = await startServices((toInner) => toInner.call({}));
    await services.client.call({}, { timeoutMs: 60_000 });
    const [seen] = services.seen;
    expect(seen?.timeLeftMs).toBeGreaterThan(0);
    expect(seen?.timeLeftMs).toBeLessThanOrEqual(60_000);
  });

  test.each<[string, number, number]>([
    ["of the request", 60_000, 600_000],
    ["of the call", 600_000, 60_000],
  ])("ends at the deadline that comes first: that %s", async (_whose, ofRequestMs, ofCallMs) => {
    await using services = await startServices((toInner) => toInner.call({}, { timeoutMs: ofCallMs }));
    await services.client.call({}, { timeoutMs: ofRequestMs });
    expect(services.seen[0]?.timeLeftMs).toBeLessThanOrEqual(60_000);
  });

  test("that takes longer than the request may ends both as deadline_exceeded", async () => {
    const failures: Promise<unknown>[] = [];
    const reasons: unknown[] = [];
    await using services = await startServices(
      (toInner) => {
        const called = toInner.call({});
        failures.push(failureOf(called));
        return called;
      },
      { innerHandler: untilCancelled(reasons) },
    );
    for (let timeoutMs = 100; services.seen.length === 0; timeoutMs *= 2)
      expect(await failureOf(services.client.call({}, { timeoutMs }))).toMatchObject({
        code: "deadline_exceeded",
      });
    expect(await failures.at(-1)).toMatchObject({ code: "deadline_exceeded" });
    await eventually("the end of the inner handler", () => reasons.length === 1);
    const completed = await eventually("the line of the outer request", () =>
      services.lines.find(({ message, component }) => message === "request completed" && component === "outer"),
    );
    expect(completed).toMatchObject({ status: "error", error_detail: "deadline exceeded" });
    expect(reasons).toMatchObject([{ code: "deadline_exceeded" }]);
  });

  test("is cancelled with the request", async () => {
    const reasons: unknown[] = [];
    await using services = await startServices((toInner) => toInner.call({}), {
      innerHandler: untilCancelled(reasons),
    });
    const aborter = new AbortController();
    const failure = failureOf(services.client.call({}, { signal: aborter.signal }));
    await eventually("the inner request", () => services.seen.length === 1);
    aborter.abort();
    expect(await failure).toMatchObject({ code: "cancelled" });
    await eventually("the end of the inner handler", () => reasons.length === 1);
    expect(reasons[0]).toMatchObject({ code: "cancelled" });
  });

  test("is cancelled by a signal of its own, too", async () => {
    const aborter = new AbortController();
    const failures: Promise<unknown>[] = [];
    await using services = await startServices(
      async (toInner) => {
        failures.push(failureOf(toInner.call({}, { signal: aborter.signal })));
        await failures[0];
        return "survived";
      },
      { innerHandler: untilCancelled([]) },
    );
    const answer = services.client.call({});
    await eventually("the inner request", () => services.seen.length === 1);
    aborter.abort();
    expect(await answer).toBe("survived");
    expect(await failures[0]).toMatchObject({ code: "cancelled" });
  });
});

describe("what a call says itself", () => {
  const other = "00-11111111111111111111111111111111-2222222222222222-01";
  test.each<[CallOptions, object]>([
    [{ requestId: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b" }, { requestId: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b" }],
    [{ xRequestId: "another" }, { xRequestId: "another" }],
    [{ baggage: "tenant=other" }, { baggage: "tenant=other" }],
    [{ tracestate: "vendor=2" }, { tracestate: "vendor=2" }],
    [
      { traceparent: other, tracestate: "vendor=3" },
      { tracestate: "vendor=3", traceId: "1".repeat(32) },
    ],
    [{ traceparent: other }, { tracestate: undefined, traceId: "1".repeat(32) }],
  ])("%j wins, and nothing else changes", async (options, expected) => {
    await using services = await startServices((toInner) => toInner.call({}, options));
    await services.client.call({}, ids);
    const context = services.seen[0]?.context;
    const { requestId: id, xRequestId, tracestate, baggage, trace } = context ?? {};
    expect({ requestId: id, xRequestId, tracestate, baggage, traceId: trace?.traceId }).toEqual({
      requestId,
      xRequestId: "mine",
      tracestate: "vendor=1",
      baggage: "tenant=acme",
      traceId,
      ...expected,
    });
  });

  test.each<[string, ClientOptions, CallOptions]>([
    ["a client", { inherit: false }, {}],
    ["a call", {}, { inherit: false }],
  ])("inherit: false of %s lets it stand for itself", async (_whose, clientOptions, options) => {
    await using services = await startServices((toInner) => toInner.call({}, options), { clientOptions });
    await services.client.call({}, { ...ids, timeoutMs: 60_000 });
    const context = services.seen[0]?.context;
    expect(context).toMatchObject({ deadlineAt: undefined });
    expect(context?.requestId).not.toBe(requestId);
    expect(context?.trace).toMatchObject({ traceId: expect.not.stringContaining(traceId) });
    expect(context?.trace.tracestate).toBeUndefined();
    expect(context?.xRequestId).toBeUndefined();
    expect(context?.baggage).toBeUndefined();
  });

  test("inherit: true of a call wins over the client's", async () => {
    await using services = await startServices((toInner) => toInner.call({}, { inherit: true }), {
      clientOptions: { inherit: false },
    });
    await services.client.call({}, ids);
    expect(services.seen[0]?.context).toMatchObject({ requestId });
  });

  test("inherit must be true or false", async () => {
    await using services = await startServices(async () => null);
    expect(() => services.outer.client(inner, { inherit: "no" as unknown as boolean })).toThrow(
      'inherit must be true or false, got "no"',
    );
    expect(await failureOf(services.client.call({}, { inherit: 1 as unknown as boolean }))).toMatchObject({
      code: "invalid_argument",
      message: "inherit must be true or false, got 1",
    });
  });
});

describe("a request that is over", () => {
  test("leaves a call that is under way alone", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const left: Promise<unknown>[] = [];
    await using services = await startServices(
      async (toInner) => {
        left.push(toInner.call({}));
        return "over";
      },
      { innerHandler: () => held.then(() => "done") },
    );
    expect(await services.client.call({}, ids)).toBe("over");
    await eventually("the inner request", () => services.seen.length === 1);
    release();
    expect(await left[0]).toBe("done");
    expect(services.seen[0]?.context).toMatchObject({ requestId });
  });

  test("leaves nothing to calls that are made later: what its handler left behind serves others, too", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const left: Promise<unknown>[] = [];
    await using services = await startServices(async (toInner) => {
      left.push(held.then(() => toInner.call({})));
      return "over";
    });
    await services.client.call({}, { ...ids, timeoutMs: 60_000 });
    release();
    await left[0];
    const context = services.seen[0]?.context;
    expect(context).toMatchObject({ deadlineAt: undefined });
    expect(context?.requestId).not.toBe(requestId);
    expect(context?.trace.traceId).not.toBe(traceId);
  });
});

test("calls with another runtime inherit nothing", async () => {
  const clients: Client<unknown, unknown>[] = [];
  await using services = await startServices(async () => clients[0]?.call({}));
  clients.push(services.inner.client(inner));
  await services.client.call({}, ids);
  expect(services.seen[0]?.context.requestId).not.toBe(requestId);
});

test("a program's own storage is as it was", async () => {
  const storage = new AsyncLocalStorage<string>();
  const stores: (string | undefined)[] = [];
  await using services = await startServices((toInner, { xRequestId = "" }) =>
    storage.run(xRequestId, async () => {
      await toInner.call({});
      stores.push(storage.getStore());
      return null;
    }),
  );
  await services.client.call({}, ids);
  expect(stores).toEqual(["mine"]);
});

describe("a call that an engine makes", () => {
  const job: ModelJob = { model: "m", messages: [], stop: [], sampling: {} };

  test.each([1, 2])("goes below the engine's span, of %i choices", async (n) => {
    const spans: string[] = [];
    await using services = await startServices(async () => null);
    const toInner = services.outer.client<unknown, unknown>(inner);
    await serveModel(services.outer, { model: "m" }, async function* (_request, { trace }) {
      spans.push(trace.spanId);
      await toInner.call({});
      yield { text: "a" };
    });
    await using caller = await services.open();
    await collect(caller.client<ModelJob, unknown>("dyn://dynamo.backend.generate").generate({ ...job, n }, ids));
    expect(services.seen.map(({ context }) => context.requestId)).toEqual(Array.from({ length: n }, () => requestId));
    const callers = await eventually("the lines of the calls", () => {
      const found = services.lines.filter(
        ({ message, caller_span_id }) =>
          message === "route request completed" && spans.includes(String(caller_span_id)),
      );
      return found.length === n && found;
    });
    expect(new Set(callers.map(({ trace_id }) => trace_id))).toEqual(new Set([traceId]));
  });
});
