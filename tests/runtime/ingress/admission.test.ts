// How many requests a served endpoint runs, how many wait, and what becomes of the rest.
import { createMemorySpace, createRuntime, type Client, type Runtime } from "@dyn/runtime";
import { createRuntimeMetrics, renderMetrics } from "@dyn/runtime/internal";
import { expect, test } from "vitest";
import { createAdmission, createRoom } from "../../../packages/runtime/src/ingress/admission.ts";
import { createLogger } from "../../support/logger.ts";
import { eventually } from "../../support/cluster.ts";
import { address, collect, config, failureOf } from "../peers.ts";

interface House extends AsyncDisposable {
  readonly client: Client<{ name: string }, { name: string }>;
  /** Names of the requests whose handler has begun. */
  readonly begun: string[];
  /** Let the handler of a request end. */
  finish(name: string): void;
  readonly lines: Record<string, unknown>[];
  readonly server: Runtime;
}

// A worker whose requests run until they are told to end, or their signal aborts.
async function startHouse(limits: {
  readonly engineRequestLimit?: number;
  readonly requestQueueLimit?: number;
  readonly own?: number;
}): Promise<House> {
  const { own, ...more } = limits;
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  const server = await createRuntime({ config: { ...config, ...more }, memorySpace, log: log.pino });
  const caller = await createRuntime({ config, memorySpace, log: log.pino });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  await server.endpoint(address).serve(
    async function* ({ name }: { name: string }, { signal }) {
      begun.push(name);
      await new Promise<void>((resolve) => {
        ends.set(name, resolve);
        signal.addEventListener("abort", () => resolve());
      });
      yield { name };
    },
    own === undefined ? {} : { requestLimit: own },
  );
  return {
    server,
    client: caller.client(address),
    begun,
    finish: (name) => ends.get(name)?.(),
    lines,
    async [Symbol.asyncDispose]() {
      await Promise.all([caller, server].map((runtime) => runtime[Symbol.asyncDispose]()));
    },
  };
}

async function valueOf(house: House, metric: string): Promise<number> {
  const { body } = await renderMetrics(house.server.metrics.registry, "text");
  const line = body.split("\n").find((text) => text.startsWith(metric));
  return Number(line?.split(" ").at(-1));
}

test("requests over the limit wait in the order they came, and those over the queue's limit are refused", async () => {
  await using house = await startHouse({ engineRequestLimit: 1, requestQueueLimit: 2 });
  const ask = (name: string): Promise<unknown[]> => collect(house.client.generate({ name }));
  const first = ask("first");
  await eventually("the first", () => house.begun.length === 1);
  const second = ask("second");
  const third = ask("third");
  await eventually("two waiting", async () => (await valueOf(house, "dynamo_work_handler_queue_depth")) === 2);
  expect(await valueOf(house, "dynamo_work_handler_queue_capacity")).toBe(2);
  const failure = await failureOf(ask("fourth"));
  expect(failure).toMatchObject({
    code: "overloaded",
    message: "1 place is taken and 2 requests are waiting, the limits of this worker",
  });
  expect(house.lines.filter(({ message }) => message === "request refused")).toEqual([
    expect.objectContaining({ "error.type": "overloaded" }),
  ]);
  expect(await valueOf(house, "dynamo_rejection_request_total")).toBe(1);
  for (const [name, answer] of [
    ["first", first],
    ["second", second],
    ["third", third],
  ] as const) {
    await eventually(`${name} running`, () => house.begun.at(-1) === name);
    house.finish(name);
    expect(await answer).toEqual([{ name }]);
  }
  expect(house.begun).toEqual(["first", "second", "third"]);
  expect(await valueOf(house, "dynamo_work_handler_queue_depth")).toBe(0);
});

test("a request that is cancelled or late leaves the queue at once, without having run", async () => {
  await using house = await startHouse({ engineRequestLimit: 1, requestQueueLimit: 1 });
  const first = collect(house.client.generate({ name: "first" }));
  await eventually("the first", () => house.begun.length === 1);
  const aborter = new AbortController();
  const second = failureOf(collect(house.client.generate({ name: "second" }, { signal: aborter.signal })));
  const depth = (expected: number) => async (): Promise<boolean> =>
    (await valueOf(house, "dynamo_work_handler_queue_depth")) === expected;
  await eventually("the second waiting", depth(1));
  aborter.abort();
  expect((await second).code).toBe("cancelled");
  await eventually("its place being free", depth(0));
  // Long enough to arrive there first.
  expect((await failureOf(collect(house.client.generate({ name: "third" }, { timeoutMs: 1_000 })))).code).toBe(
    "deadline_exceeded",
  );
  await eventually(
    "its arrival",
    () => house.lines.filter(({ message }) => message === "request received").length === 3,
  );
  await eventually("its place being free too", depth(0));
  house.finish("first");
  await first;
  expect(house.begun).toEqual(["first"]);
  const completed = house.lines
    .filter(({ message }) => message === "request completed")
    .map(({ error_type }) => error_type);
  // The caller's CANCEL and the worker's own timer are about as fast as each other.
  expect(completed).toEqual(["cancelled", expect.stringMatching(/^(?:response_timeout|cancelled)$/), undefined]);
});

test("what is refused by one worker is tried elsewhere first", async () => {
  const memorySpace = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  const served: string[] = [];
  const workers = await Promise.all(
    [1, 2].map(() =>
      createRuntime({ config: { ...config, engineRequestLimit: 1, requestQueueLimit: 0 }, memorySpace, log: log.pino }),
    ),
  );
  await using caller = await createRuntime({ config, memorySpace, log: log.pino });
  for (const worker of workers) {
    await worker.endpoint(address).serve(async function* (_, { signal }) {
      served.push(worker.instanceId);
      yield {};
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
  }
  const client = caller.client(address);
  const held = [];
  for (let index = 0; index < 2; index += 1) {
    const batches = client.generate({}).batches();
    await batches.next();
    held.push(batches);
  }
  const [first] = held;
  const refused = client.generate({});
  expect(await failureOf(collect(refused))).toMatchObject({ code: "overloaded" });
  expect(refused.attempts).toBe(2);
  await first?.return();
  await eventually("the free one answering", async () => {
    const batches = client.generate({}).batches();
    const answered = await batches.next().then(
      () => true,
      () => false,
    );
    if (answered) held.push(batches);
    return answered;
  });
  expect(new Set(served).size).toBe(2);
  for (const batches of held) await batches.return();
  for (const worker of workers) await worker[Symbol.asyncDispose]();
});

test("the lower of the engine's own limit and the setting holds, and without any nobody waits", async () => {
  const metrics = createRuntimeMetrics();
  const labels = {
    dynamo_namespace: "n",
    dynamo_component: "c",
    dynamo_endpoint: "e",
    worker_id: "1",
    model: undefined,
  };
  const admitted = (...limits: number[]): number => {
    const admission = createAdmission(createRoom(limits, 0), metrics.endpoint(labels));
    for (let count = 0; count < 20; count += 1) {
      try {
        admission.enter();
      } catch {
        return count;
      }
    }
    return Infinity;
  };
  expect([admitted(3, 5), admitted(5, 3), admitted(0, 4), admitted(4, 0), admitted(0, 0)]).toEqual([
    3,
    3,
    4,
    4,
    Infinity,
  ]);
});
