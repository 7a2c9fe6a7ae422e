// What a handler is given of a request.
import { describe, expect, test } from "vitest";
import type { RequestContext } from "../../packages/runtime/src/index.ts";
import { eventually } from "../support/cluster.ts";
import { collect, failureOf, startPair } from "./peers.ts";
import { ids, requestId, startServices, traceId } from "./services.ts";

test("a copy of a context has its log, too", async () => {
  await using pair = await startPair();
  await collect(pair.client.generate({ count: 1 }));
  const [context] = pair.contexts;
  expect({ ...context }.log).toBe(context?.log);
});

// A getter of its own gives an object a hidden class of its own, which V8 keeps until its next full collection, and with it the whole request.
test("contexts share the getter of their log, so that a request is forgotten once it is over", async () => {
  await using pair = await startPair();
  for (let index = 0; index < 2; index += 1) await collect(pair.client.generate({ count: 1 }));
  const getters = pair.contexts.map((context): unknown =>
    Reflect.get(Object.getOwnPropertyDescriptor(context, "log") ?? {}, "get"),
  );
  expect(getters).toHaveLength(2);
  expect(getters[0]).toBeTypeOf("function");
  expect(getters[1]).toBe(getters[0]);
});

describe("the context of a request", () => {
  test("says when nobody waits any more, and how long that is", async () => {
    const contexts: (readonly [RequestContext, number])[] = [];
    await using services = await startServices(async (_inner, context) => {
      contexts.push([context, context.timeLeftMs()]);
      return null;
    });
    const before = performance.now();
    await services.client.call({}, { timeoutMs: 60_000 });
    await services.client.call({});
    const [[limited, leftMs] = [], [unlimited, noLimit] = []] = contexts;
    expect(limited?.deadlineAt).toBeGreaterThan(before);
    expect(limited?.deadlineAt).toBeLessThanOrEqual(performance.now() + 60_000);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(60_000);
    expect(unlimited).toMatchObject({ deadlineAt: undefined });
    expect(noLimit).toBe(Number.POSITIVE_INFINITY);
  });

  test("has no time left after its deadline", async () => {
    const left: number[] = [];
    await using services = await startServices(async (_inner, { signal, timeLeftMs }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await eventually("the deadline", () => timeLeftMs() === 0);
      left.push(timeLeftMs());
      return null;
    });
    for (let timeoutMs = 100; left.length === 0; timeoutMs *= 2)
      await failureOf(services.client.call({}, { timeoutMs }));
    expect(left[0]).toBe(0);
  });

  test("has all ids as the identity that a call takes", async () => {
    await using services = await startServices((toInner, { identity }) =>
      toInner.call({}, { inherit: false, identity }),
    );
    await services.client.call({}, ids);
    expect(services.seen[0]?.context).toMatchObject({
      identity: { requestId, xRequestId: "mine", baggage: "tenant=acme", trace: { traceId, tracestate: "vendor=1" } },
    });
  });
});
