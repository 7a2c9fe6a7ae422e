// A place of a model's worker is a completion: how many run at a time, who is next, and that none is left without one.
import { expect, test } from "vitest";
import { createMemorySpace, createRuntime, type Runtime } from "../../../packages/runtime/src/index.ts";
import { serveModel, type Delta } from "../../../packages/runtime/src/llm.ts";
import { renderMetrics, type ModelJob } from "../../../packages/runtime/src/internal.ts";
import { createLogger } from "../../support/logger.ts";
import { parseOpenMetrics } from "../../support/open-metrics.ts";
import { eventually } from "../../support/cluster.ts";
import { config, failureOf } from "../peers.ts";

interface House extends AsyncDisposable {
  ask(job: Partial<ModelJob>, signal?: AbortSignal): Promise<Delta[]>;
  /** Prompts of the completions that run, in the order in which they began. */
  readonly running: string[];
  /** Prompts of all that have begun. */
  readonly begun: string[];
  /** The longest that `running` has been. */
  most(): number;
  /** Let the oldest of those that run end. */
  endOne(): void;
  places(): Promise<[places: number, taken: number, waiting: number]>;
}

async function startHouse(requestLimit: number): Promise<House> {
  const memorySpace = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  const open = (): Promise<Runtime> => createRuntime({ config, memorySpace, log: log.pino });
  const [worker, caller] = [await open(), await open()];
  const [running, begun, ends]: [string[], string[], (() => void)[]] = [[], [], []];
  let most = 0;
  await serveModel(
    worker,
    { model: "m", endpoint: "dyn://test.model.generate", requestLimit },
    async function* ({ messages }, { signal }) {
      const name = messages[0]?.text ?? "";
      begun.push(name);
      running.push(name);
      most = Math.max(most, running.length);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      signal.addEventListener("abort", () => resolve());
      await promise;
      running.splice(running.indexOf(name), 1);
      signal.throwIfAborted();
      yield { text: name };
    },
  );
  const client = caller.client<Partial<ModelJob>, Delta>("dyn://test.model.generate");
  return {
    running,
    begun,
    most: () => most,
    endOne: () => ends.shift()?.(),
    async ask(job, signal) {
      const deltas: Delta[] = [];
      const whole = { model: "m", messages: [], stop: [], sampling: {}, ...job };
      for await (const delta of client.generate(whole, { ...(signal && { signal }) })) deltas.push(delta);
      return deltas;
    },
    async places() {
      const page = parseOpenMetrics((await renderMetrics(worker.metrics.registry, "openmetrics")).body);
      const [places, taken, waiting] = ["places", "places_taken", "queue_depth"].map((name) =>
        page.value(`dynamo_work_handler_${name}`),
      );
      return [places ?? Number.NaN, taken ?? Number.NaN, waiting ?? Number.NaN];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([caller, worker].map((runtime) => runtime[Symbol.asyncDispose]()));
    },
  };
}

const prompts = (...texts: string[]): Partial<ModelJob> => ({ prompts: texts.map((text) => ({ text })) });

test("a worker with one place makes a request's completions one after the other, all of them", async () => {
  await using house = await startHouse(1);
  const answer = house.ask({ ...prompts("a", "b"), n: 3 });
  await eventually("the first", () => house.running.length === 1);
  expect(await house.places()).toEqual([1, 1, 5]);
  for (let count = 1; count <= 6; count += 1) {
    await eventually(`number ${count}`, () => house.begun.length === count);
    house.endOne();
  }
  const texts = (await answer).filter(({ text }) => text !== "");
  expect(texts.map(({ choice = 0, text }) => [choice, text])).toEqual(
    ["a", "a", "a", "b", "b", "b"].map((text, index) => [index, text]),
  );
  expect(house.most()).toBe(1);
  await eventually("its place being free", async () => (await house.places()).join() === "1,0,0");
});

test("another request waits for one completion of a request that has many, not for all", async () => {
  await using house = await startHouse(2);
  const many = house.ask(prompts("a", "b", "c", "d", "e"));
  await eventually("two of the first", () => house.running.length === 2);
  const one = house.ask({ messages: [{ role: "user", text: "other" }] });
  // The other two of its requests that are on their way wait for their first place.
  await eventually("all waiting", async () => (await house.places()).join() === "2,2,4");
  house.endOne();
  house.endOne();
  await eventually("two more", () => house.begun.length === 4);
  expect(house.begun.slice(2)).toContain("other");
  for (let count = 4; count < 6; count += 1) {
    house.endOne();
    await eventually("the next", () => house.begun.length > count);
  }
  house.endOne();
  house.endOne();
  expect((await one).map(({ text }) => text).join("")).toBe("other");
  expect((await many).filter(({ text }) => text !== "")).toHaveLength(5);
  expect(house.most()).toBe(2);
});

test("completions that wait when their request is cancelled never begin, and their place goes on", async () => {
  await using house = await startHouse(1);
  const aborter = new AbortController();
  const failure = failureOf(house.ask(prompts("a", "b", "c"), aborter.signal));
  await eventually("the first", () => house.running.length === 1);
  const next = house.ask({ messages: [{ role: "user", text: "next" }] });
  await eventually("the next waiting", async () => (await house.places()).join() === "1,1,3");
  aborter.abort();
  expect((await failure).code).toBe("cancelled");
  await eventually("the next", () => house.running.join() === "next");
  house.endOne();
  house.endOne();
  await next;
  expect(house.begun).toEqual(["a", "next"]);
  await eventually("its place being free", async () => (await house.places()).join() === "1,0,0");
});

test("without a limit all completions run at the same time", async () => {
  await using house = await startHouse(0);
  const answer = house.ask({ ...prompts("a"), n: 20 });
  await eventually("all of them", () => house.running.length === 20);
  expect(await house.places()).toEqual([0, 0, 0]);
  while (house.running.length > 0) {
    house.endOne();
    await Promise.resolve();
  }
  await answer;
});
