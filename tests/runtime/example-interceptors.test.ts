// The interceptors of examples/interceptors, as programs use them.
import { Registry } from "@prometheus-io/client";
import { describe, expect, test } from "vitest";
import { signed } from "../../examples/interceptors/auth.ts";
import { measured } from "../../examples/interceptors/metrics.ts";
import { defaults, redacted } from "../../examples/interceptors/mutation.ts";
import { createMemorySpace, createRuntime, RuntimeError } from "../../packages/runtime/src/index.ts";
import { eventually } from "../support/cluster.ts";
import { startEnds } from "./intercepted-ends.ts";
import { address, collect, config, failureOf } from "./peers.ts";

describe("signed requests", () => {
  test("reach the handler, with the rest of their baggage", async () => {
    const seen: unknown[] = [];
    await using ends = await startEnds({
      asked: [signed("secret")],
      served: [signed("secret")],
      handler: async (_request, { baggage }) => seen.push(baggage),
    });
    await ends.client.call({ count: 1 }, { baggage: "tenant=a" });
    expect(seen).toEqual([expect.stringMatching(/^tenant=a,signature=[\w-]{43}$/)]);
  });

  test.each<[string, readonly ReturnType<typeof signed>[], string | undefined]>([
    ["another secret", [signed("guess")], undefined],
    ["none", [], undefined],
    ["a wrong signature", [], `signature=${"A".repeat(43)}`],
  ])("of %s are refused before the handler is called", async (_what, asked, baggage) => {
    let calls = 0;
    await using ends = await startEnds({ asked, served: [signed("secret")], handler: async () => (calls += 1) });
    const called = ends.client.call({ count: 1 }, baggage === undefined ? {} : { baggage });
    expect(await failureOf(called)).toMatchObject({ code: "invalid_argument", apiCode: "bad_signature" });
    expect(calls).toBe(0);
  });

  test("are signed anew where a handler calls on, with the baggage it was given", async () => {
    const memorySpace = createMemorySpace();
    const interceptors = [signed("secret")];
    const quiet = { ...config, log: "off" } as const;
    await using front = await createRuntime({ config: quiet, memorySpace, interceptors });
    await using back = await createRuntime({ config: quiet, memorySpace, interceptors });
    await back.endpoint("dyn://test.back.get").serve(async (_request: unknown, { baggage }) => baggage);
    const behind = front.client<object, string>("dyn://test.back.get");
    await front.endpoint("dyn://test.front.get").serve(async () => behind.call({}));
    await using caller = await createRuntime({ config: quiet, memorySpace, interceptors });
    const passed = await caller.client<object, string>("dyn://test.front.get").call({}, { baggage: "tenant=a" });
    expect(passed).toMatch(/^tenant=a,signature=[\w-]{43}$/);
  });
});

test("measured calls are on the runtime's page, by their end and how they went", async () => {
  const registry = new Registry();
  const memorySpace = createMemorySpace();
  await using runtime = await createRuntime({
    config: { ...config, log: "off" },
    memorySpace,
    interceptors: [measured(registry)],
  });
  using included = runtime.metrics.registry.include(registry);
  await runtime.endpoint(address).serve(async function* ({ count }: { count: number }) {
    for (let index = 0; index < count; index += 1) yield index;
    if (count === 0) throw new RuntimeError("overloaded", "not now");
  });
  const client = runtime.client<{ count: number }, number>(address, { retry: false });
  await collect(client.generate({ count: 3 }));
  await failureOf(collect(client.generate({ count: 0 })));
  for await (const _ of client.generate({ count: 1_000_000 })) break;
  expect(included).toBeDefined();
  const ends = await eventually("the end of the request that was left", async () => {
    const families = await runtime.metrics.registry.read();
    const { values = [] } = families.find(({ name }) => name === "call_seconds") ?? {};
    const counts = values.filter(({ metricName }) => metricName === "call_seconds_count");
    return counts.length === 6 && counts.map(({ labels, value }) => [labels?.["side"], labels?.["outcome"], value]);
  });
  for (const side of ["client", "server"])
    for (const outcome of ["success", "overloaded", "left"]) expect(ends).toContainEqual([side, outcome, 1]);
});

test("requests get what they leave out, and items lose what nobody is to see", async () => {
  const seen: unknown[] = [];
  await using ends = await startEnds({
    asked: [defaults({ count: 2, size: 7 })],
    served: [redacted("password")],
    handler: async function* (request) {
      seen.push(request);
      yield { users: [{ name: "ada", password: "x" }], at: new Date(0) };
      yield "password";
    },
  });
  expect(await collect(ends.client.generate({ count: 1 }))).toEqual([
    { users: [{ name: "ada", password: "***" }], at: new Date(0) },
    "password",
  ]);
  expect(seen).toEqual([{ count: 1, size: 7 }]);
});
