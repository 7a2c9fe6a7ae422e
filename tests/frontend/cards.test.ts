// What a frontend shows of a model follows from the cards that are there; and what it costs that others come and go.
import { isDeepStrictEqual } from "node:util";
import { createMemorySpace, createRuntime, type RuntimeError, type Instance } from "@dyn/runtime";
import type { DiscoveryRecord, ModelCard } from "@dyn/runtime/internal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { followModels, type Model, type Models } from "../../packages/frontend/src/models/models.ts";
import { createMemoryDiscovery } from "../../packages/runtime/src/discovery/memory.ts";
import { createLogger } from "../support/logger.ts";
import { eventually, type Line } from "../support/cluster.ts";
import { card, record } from "../runtime/discovery/spaces.ts";

interface Worker {
  readonly id: bigint;
  readonly endpoint?: string;
  readonly says?: Partial<ModelCard>;
}

/** Its card comes first. Nobody listens at its address. */
function recordsOf({ id, endpoint = "generate", says }: Worker): readonly DiscoveryRecord[] {
  const { transport: _, ...rest } = record(id, endpoint);
  return [
    { ...card(id), endpoint, card_json: { ...card(id).card_json, ...says } },
    { ...rest, transport: { tcp: "127.0.0.1:1" } },
  ];
}

interface House extends AsyncDisposable {
  /** One more frontend, which sees what is there now. */
  open(): Models;
  join(worker: Worker, see?: (record: DiscoveryRecord) => DiscoveryRecord): Promise<void>;
  leave(worker: Worker): Promise<void>;
  /** How often a watcher has been told something. */
  told(): number;
  /** Lines of that message, with their facts only. */
  said(message: string): Line[];
}

async function openHouse(): Promise<House> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
  const { discovery } = runtime;
  const watch = discovery.watch.bind(discovery);
  let told = 0;
  discovery.watch = (bucket, onChanges, under) => watch(bucket, (changes) => ((told += 1), onChanges(changes)), under);
  const workers = createMemoryDiscovery(memorySpace, log);
  const registrations = new Map<bigint, AsyncDisposable[]>();
  return {
    open: () =>
      followModels({ runtime, namespace: "", routerMode: "round-robin", log, wallClock: () => 0, now: () => 0 }),
    async join(worker, see = (record) => record) {
      registrations.set(worker.id, await Promise.all(recordsOf(worker).map((record) => workers.publish(see(record)))));
    },
    async leave({ id }) {
      for (const registration of registrations.get(id) ?? []) await registration[Symbol.asyncDispose]();
    },
    told: () => told,
    said: (wanted) =>
      lines.flatMap(({ time: _time, level: _level, target: _target, message, ...facts }) =>
        message === wanted ? [facts] : [],
      ),
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
}

/** All that clients and metrics are shown, and whom requests are sent to. */
function view(models: Models): unknown {
  const instancesOf = (name: string): readonly Instance[] | string => {
    try {
      const { client, prefill } = models.clientsOf(name);
      return [...client.instances, ...(prefill?.instances ?? [])];
    } catch (error) {
      return (error as RuntimeError).message;
    }
  };
  return models.list().map((model: Model) => [model, models.find(model.name), instancesOf(model.name)]);
}

const roles = ["aggregated", "prefill", "decode"];
const workers: readonly Worker[] = Array.from({ length: 12 }, (_, index) => ({
  id: BigInt(index + 1),
  endpoint: ["b", "a", "c"][index % 3] ?? "",
  says: {
    display_name: index < 10 ? "m" : "n",
    worker_type: roles[Math.floor(index / 2) % 3] ?? "",
    context_length: [0, 4_096, 32_768][index % 3] ?? 0,
    kv_cache_block_size: [16, 64][index % 2] ?? 0,
    migration_limit: index % 4,
    dyn_created: [1_700_000_000, 1_700_000_060][index % 2] ?? 0,
  },
}));

test("a model is as old as the first of the workers that are there", async () => {
  await using house = await openHouse();
  using models = house.open();
  const [old, young, silent] = [1_700_000_000, 1_700_000_060, undefined].map((dyn_created, index) => ({
    id: BigInt(index + 1),
    says: { ...(dyn_created && { dyn_created }) },
  })) as [Worker, Worker, Worker];
  for (const worker of [silent, young, old]) await house.join(worker);
  const createdAt = (): unknown => models.list()[0]?.created;
  await eventually("the oldest", () => createdAt() === 1_700_000_000);
  await house.leave(old);
  await eventually("the next", () => createdAt() === 1_700_000_060);
  await house.leave(young);
  await eventually("none that says", () => createdAt() === 0); // by the clock of this frontend
  expect(house.said("model changed")).toEqual([]);
});

test("what is shown is the same on every frontend, whatever came and went before", async () => {
  const comingsAndGoings = fc.array(fc.constantFrom(...workers), { maxLength: 30 });
  const check = async (sequence: readonly Worker[]): Promise<void> => {
    await using house = await openHouse();
    using old = house.open();
    const present = new Set<Worker>();
    for (const worker of sequence) {
      if (present.delete(worker)) await house.leave(worker);
      else await house.join(worker).then(() => present.add(worker));
    }
    await using other = await openHouse();
    for (const worker of workers) if (present.has(worker)) await other.join(worker);
    using fresh = other.open();
    await eventually("one view", () => isDeepStrictEqual(view(old), view(fresh)));
  };
  await fc.assert(fc.asyncProperty(comingsAndGoings, check), { numRuns: 40, endOnFailure: true });
});

test("a model's context length is the least that a card says, and a change of it is one line", async () => {
  await using house = await openHouse();
  using models = house.open();
  const [short, long, silent] = [4_096, 32_768, 0].map((context_length, index) => ({
    id: BigInt(index + 1),
    says: { context_length },
  })) as [Worker, Worker, Worker];
  const shown = (): number => models.find("m").contextLength;
  for (const worker of [short, long, silent]) await house.join(worker);
  expect(shown()).toBe(4_096);
  expect(house.said("model changed")).toEqual([]);
  await house.leave(short);
  await eventually("its end", () => shown() === 32_768);
  expect(house.said("model changed")).toEqual([{ model: "m", context_length: 32_768, context_length_before: 4_096 }]);
  await house.leave(long);
  await eventually("nobody saying", () => shown() === 0);
  expect(house.said("model changed")).toHaveLength(2);
  expect(models.list()).toEqual([models.find("m")]);
});

test("the endpoint that most cards name is served, of equals the first by its address; a move is one line", async () => {
  await using house = await openHouse();
  using models = house.open();
  const [first, second, third] = ["b", "b", "c"].map((endpoint, index) => ({ id: BigInt(index + 1), endpoint })) as [
    Worker,
    Worker,
    Worker,
  ];
  const asked = (): string[] => models.clientsOf("m").client.instances.map(({ path, id }) => `${path}/${id}`);
  await house.join(third);
  expect(asked()).toEqual(["dynamo/backend/c/3"]);
  await house.join(first);
  expect(asked()).toEqual(["dynamo/backend/b/1"]);
  await house.join(second);
  expect(asked()).toEqual(["dynamo/backend/b/1", "dynamo/backend/b/2"]);
  const [from, to] = ["dyn://dynamo.backend.c", "dyn://dynamo.backend.b"];
  expect(house.said("model changed")).toEqual([
    { model: "m", role: "aggregated", endpoint: to, endpoint_before: from },
  ]);
  for (const worker of [first, second]) await house.leave(worker);
  await eventually("the move back", () => models.has("m") && asked()[0] === "dynamo/backend/c/3");
  expect(house.said("model changed").at(-1)).toEqual({
    model: "m",
    role: "aggregated",
    endpoint: from,
    endpoint_before: to,
  });
  expect(house.said("model removed")).toEqual([]);
});

test("lines about instances that join and leave name the model they are counted for", async () => {
  await using house = await openHouse();
  using _models = house.open();
  for (const worker of [{ id: 1n }, { id: 2n, says: { display_name: "n" } }, { id: 3n }]) await house.join(worker);
  await house.leave({ id: 3n });
  const counted = (message: string): unknown[] =>
    house.said(message).map(({ model, instance_id, instances }) => [model, instance_id, instances]);
  expect(counted("instance joined")).toEqual([
    ["m", "1", 1],
    ["n", "2", 1],
    ["m", "3", 2],
  ]);
  await eventually("the line", () => counted("instance left").length > 0);
  expect(counted("instance left")).toEqual([["m", "3", 1]]);
});

test("a card that takes the place of another changes what is shown, and its worker stays in use", async () => {
  await using house = await openHouse();
  using models = house.open();
  const worker = { id: 1n, says: { context_length: 4_096 } };
  await house.join(worker);
  await house.join({ ...worker, says: { context_length: 8_192 } });
  expect(models.find("m").contextLength).toBe(8_192);
  expect([house.said("instance joined").length, house.said("instance left")]).toEqual([1, []]);
  await house.join({ ...worker, says: { display_name: "n" } });
  expect(models.list().map(({ name }) => name)).toEqual(["n"]);
  expect(models.clientsOf("n").client.has("1")).toBe(true);
});

test("a card that is lost and comes again as it was counts as before", async () => {
  const memorySpace = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
  using models = followModels({
    runtime,
    namespace: "",
    routerMode: "round-robin",
    log,
    wallClock: () => 0,
    now: () => 0,
  });
  const { discovery } = runtime;
  const its = card(1n);
  await discovery.publish(record(1n));
  const registration = await discovery.publish(its);
  await registration[Symbol.asyncDispose]();
  await discovery.publish(its);
  expect(models.has("m")).toBe(true);
  expect(models.clientsOf("m").client.instances).toHaveLength(1);
});

test("how often a request may go on is what all who generate allow", async () => {
  await using house = await openHouse();
  using models = house.open();
  const limits = { prefill: 0, decode: 3 };
  for (const [index, [worker_type, migration_limit]] of Object.entries(limits).entries())
    await house.join({ id: BigInt(index + 1), endpoint: worker_type, says: { worker_type, migration_limit } });
  expect(models.clientsOf("m").migrationLimit).toBe(3);
  expect(models.find("m").migrationLimit).toBe(3);
});

test.each([
  ["models of their own", (index: number) => `m${index}`],
  ["one model", () => "m"],
])("a join or a leave looks at no record of the others, with %s at one endpoint", async (_, modelOf) => {
  await using house = await openHouse();
  using models = house.open();
  let reads = 0;
  const watched = (record: DiscoveryRecord): DiscoveryRecord =>
    new Proxy(record, { get: (target, name) => ((reads += 1), Reflect.get(target, name) as unknown) });
  const workerOf = (index: number): Worker => ({ id: BigInt(index + 1), says: { display_name: modelOf(index) } });
  for (let index = 0; index < 300; index += 1) await house.join(workerOf(index), watched);
  const one = { id: 301n, says: { display_name: modelOf(300) } };
  const [readBefore, toldBefore] = [reads, house.told()];
  await house.join(one);
  expect(models.clientsOf(modelOf(300)).client.has("301")).toBe(true);
  await house.leave(one);
  await eventually("its end", () => house.said("instance left").length === 1);
  expect(reads - readBefore).toBe(0);
  expect(house.told() - toldBefore).toBeLessThanOrEqual(4); // its card and its instance, as they come and as they go
});
