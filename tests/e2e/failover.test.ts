// A worker that fails is replaced, and the client cannot tell: the text is that of an undisturbed run, token for token.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createRuntime } from "@dyn/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults/faults.js";
import { createLogger } from "../support/logger.ts";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  type Cluster,
  type Line,
} from "../support/cluster.ts";

const text = Array.from({ length: 30 }, (_, index) => `word${index}`).join(" ");

// Paced, so that tokens are on their way before the fault strikes.
async function startFailing(fault: string, ...args: string[]): Promise<Cluster> {
  const cluster = await startCluster({ workers: 0, workerArgs: ["--itl-ms", "1", ...args] });
  await cluster.addWorker("--fault", fault);
  await cluster.addWorker();
  return cluster;
}

interface Answer {
  readonly texts: string[];
  readonly reasons: string[];
  readonly usage: unknown;
}

// Choices of a chat stream, put together.
async function read(response: Response): Promise<Answer> {
  const blocks = (await response.text()).trimEnd().split("\n\n");
  const events = blocks.filter((block) => !block.startsWith(":")); // a busy machine is silent for long enough to need keep-alive
  expect(events.pop()).toBe("data: [DONE]");
  const answer: Answer & { usage: unknown } = { texts: [], reasons: [], usage: undefined };
  for (const event of events) {
    const chunk = JSON.parse(event.slice(6)) as {
      choices: { index: number; delta: { content?: string }; finish_reason: string | null }[];
      usage: unknown;
    };
    answer.usage = chunk.usage ?? answer.usage;
    for (const { index, delta, finish_reason } of chunk.choices) {
      answer.texts[index] = (answer.texts[index] ?? "") + (delta.content ?? "");
      if (finish_reason !== null) answer.reasons.push(finish_reason);
    }
  }
  return answer;
}

function stream(
  cluster: { readonly url: string },
  more: Readonly<Record<string, unknown>>,
  id: string,
): Promise<Response> {
  const body = chat(text, { stream: true, stream_options: { include_usage: true }, ...more });
  return postChat(cluster.url, body, { "x-request-id": id });
}

function linesOf(cluster: Cluster, id: string, message: string): Line[] {
  return cluster.frontend.lines().filter((line) => line["x_request_id"] === id && line["message"] === message);
}

const cases: readonly (readonly [at: number, more: Readonly<Record<string, unknown>>])[] = [
  [0, {}],
  [1, {}],
  [17, { n: 3 }],
  [7, { max_tokens: 12 }],
  [9, { stop: ["10 word11"] }],
  [11, { stop: ["10 word11", "rd11 w"], n: 2 }],
  [29, {}],
  [30, {}],
];

interface House extends AsyncDisposable {
  readonly url: string;
  readonly records: Record<string, unknown>[];
}

// A frontend and workers in this process: one worker that fails as the fault says, and one that does not.
async function startHouse(fault: string): Promise<House> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-failover-"));
  const records: Record<string, unknown>[] = [];
  const config = { fileKv: directory, log: "off" };
  const runtime = await createRuntime({ config, log: createLogger({ sink: (record) => records.push(record) }).pino });
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  const workers = await Promise.all(
    [parseFaults(fault), []].map((faults) => startMockWorker({ config, itlMs: 1, fault: faults })),
  );
  await eventually("both workers", () => records.filter(({ message }) => message === "instance joined").length === 2);
  return {
    url: frontend.url,
    records,
    async [Symbol.asyncDispose]() {
      for (const each of [frontend, ...workers, runtime]) await each[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

describe("the text is that of an undisturbed run after", () => {
  const undisturbed: Answer[] = [];
  beforeAll(async () => {
    await using calm = await startHouse("");
    for (const [, more] of cases) undisturbed.push(await read(await stream(calm, more, "calm")));
  });

  test.each(["error:unavailable", "error:overloaded", "cut", "garbage"])("%s at any token", async (fault) => {
    for (const [index, [at, more]] of cases.entries()) {
      await using house = await startHouse(`${fault}@${at}`);
      for (const id of ["one", "two"]) expect(await read(await stream(house, more, id))).toEqual(undisturbed[index]);
      const completed = house.records.filter(
        ({ target, message }) => target === "dyn_frontend::request_log" && message === "request completed",
      );
      expect(completed.map(({ status }) => status)).toEqual(["success", "success"]);
      expect(Math.max(...completed.map(({ attempts }) => Number(attempts)))).toBe(2);
    }
  });
});

test.each([0, 1, 17])("after a crash at token %i the text is that of an undisturbed run", async (at) => {
  await using cluster = await startFailing(`crash@${at}`);
  for (const id of ["one", "two"]) expect((await read(await stream(cluster, {}, id))).texts).toEqual([text]);
  if (at < 17) return;
  const resumed = await eventually("the rest's completion", () =>
    cluster.workers.flatMap((worker) => worker.lines()).find((line) => line["resumed_tokens"] !== undefined),
  );
  expect(resumed["resumed_tokens"]).toBeGreaterThan(0);
  expect(resumed["output_tokens"]).toBe(30);
});

test("a worker that has failed may go on where another one failed after it", async () => {
  await using cluster = await startCluster({ workers: 2, workerArgs: ["--itl-ms", "1", "--fault", "cut@5"] });
  const words = text.split(" ").slice(0, 18).join(" "); // five, five, five, three
  const answer = await read(await stream(cluster, { messages: [{ role: "user", content: words }] }, "turns"));
  expect(answer.texts).toEqual([words]);
  const line = await eventually("the completion", () => linesOf(cluster, "turns", "request completed")[0]);
  expect(line["attempts"]).toBe(4);
});

test("all streams of a worker that is lost go on, however many they are", async () => {
  const workerArgs = ["--fault", "hang@5", "--max-num-seqs", "1000"];
  await using cluster = await startCluster({ workers: 2, workerArgs, env: { DYN_SYSTEM_PORT: "0" } });
  const [lost, other] = cluster.workers;
  // Each has its first tokens and is held: none can have ended when the worker is lost.
  const responses = await Promise.all(Array.from({ length: 300 }, (_, index) => stream(cluster, {}, `many-${index}`)));
  lost?.kill("SIGKILL");
  await release(other);
  const answers = await Promise.all(responses.map(read));
  expect(new Set(answers.map(({ texts }) => texts.join("|")))).toEqual(new Set([text]));
  const resumed = (): number => other?.lines().filter((line) => line["resumed_tokens"] === 5).length ?? 0;
  await eventually("the lines of those of the lost worker", () => resumed() === 150);
});

test("a unary answer and messages of Anthropic's API go on as well", async () => {
  await using cluster = await startFailing("error:unavailable@5");
  for (let round = 0; round < 2; round += 1) {
    expect(await (await postChat(cluster.url, chat(text))).json()).toMatchObject({
      choices: [{ message: { content: text }, finish_reason: "stop" }],
      usage: { prompt_tokens: 30, completion_tokens: 30 },
    });
    const response = await fetch(`${cluster.url}/v1/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "mock", max_tokens: 100, messages: [{ role: "user", content: text }] }),
    });
    expect(await response.json()).toMatchObject({
      content: [{ text }],
      usage: { input_tokens: 30, output_tokens: 30 },
    });
  }
});

test("the limit is kept: with 0 the stream ends with a typed error event", async () => {
  await using cluster = await startFailing("cut@5", "--migration-limit", "0");
  const answers = await Promise.all(["a", "b"].map(async (id) => (await stream(cluster, {}, id)).text()));
  const broken = answers.filter((events) => events.includes('"code":"worker_disconnected"'));
  expect(broken).toHaveLength(1);
  expect(broken[0]).not.toContain("[DONE]");
});

test("a fault strikes after the tokens that its list says, also without a pace, and the worker's log names it", async () => {
  await using cluster = await startCluster({ workers: 0, workerArgs: ["--migration-limit", "0"] });
  for (const fault of ["cut@5", "garbage@5", "error:internal@5", "crash@5"]) {
    const model = fault.replace(/\W/g, "-");
    const worker = await cluster.addWorker("--fault", fault, "--model-name", model, "--component", model);
    const events = (await (await stream(cluster, { model }, "struck")).text()).trimEnd().split("\n\n");
    expect([
      fault,
      events.filter((event) => event.includes('"content":"word') || event.includes('"content":" word')).length,
    ]).toEqual([fault, 5]);
    expect(events.at(-1)).toContain('"error"');
    const line = await lineOf(worker, "fault strikes");
    expect(line).toMatchObject({ level: "WARN", fault, x_request_id: "struck" });
  }
});

test("a fault that no other worker could mend is not tried elsewhere", async () => {
  await using cluster = await startFailing("error:internal@5");
  const answers = await Promise.all(["a", "b"].map(async (id) => (await stream(cluster, {}, id)).text()));
  expect(answers.filter((events) => events.includes('"code":"internal_error"'))).toHaveLength(1);
});

test("a decode worker that fails is replaced with the prefill's result", async () => {
  await using cluster = await startCluster({ workers: 0, workerArgs: ["--itl-ms", "1"] });
  await cluster.addWorker("--disaggregation-mode", "prefill");
  await cluster.addWorker("--disaggregation-mode", "decode", "--fault", "cut@5");
  await cluster.addWorker("--disaggregation-mode", "decode");
  for (const id of ["one", "two"]) {
    expect((await read(await stream(cluster, {}, id))).texts).toEqual([text]);
    const line = await eventually("the completion", () => linesOf(cluster, id, "request completed")[0]);
    expect(line["prefill_worker_id"]).not.toBe(line["decode_worker_id"]);
  }
});
