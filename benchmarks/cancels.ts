/** How fast a cancel reaches the engine, wherever the request is when its client leaves. */
import { Agent, request, type ClientRequest } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine } from "@dyn/runtime/llm";
import { within } from "@dyn/runtime/internal";
import { createLogger } from "../tests/support/logger.ts";
import { eventually } from "../tests/support/cluster.ts";
import { openFleet } from "../tests/support/fleet.ts";
import type { Row } from "./table.ts";
import { toTimesRow } from "./times.ts";

const cancels = 200;
const limit = { of: "p99", mostMs: 50 } as const;
/** A cancel that is not there by then is lost. */
const lostMs = 10_000;
/** How far into its phase a request is, ms. */
const settledMs = 5;

/** Where a request is when its client leaves. */
interface Phase {
  readonly name: string;
  readonly model: string;
  readonly isStream: boolean;
}

const phases: readonly Phase[] = [
  { name: "before the first token", model: "silent", isStream: true },
  { name: "streaming", model: "talking", isStream: true },
  { name: "unary", model: "talking", isStream: false },
  { name: "in the prefill worker", model: "prefilled", isStream: true },
  { name: "in the decode worker", model: "decoded", isStream: true },
];

/** What the worker of this process tells. */
interface Signs {
  begun: PromiseWithResolvers<void>;
  stopped: PromiseWithResolvers<void>;
  /** Who waits for a line, by client id and message. */
  readonly lines: Map<string, () => void>;
}

/** @throws Error if it does not come. */
async function expectSoon(what: string, event: Promise<void>): Promise<void> {
  if (!(await within(event, lostMs))) throw new Error(`${what} did not happen within ${lostMs} ms`);
}

async function serveAll(runtime: Runtime, signs: Signs): Promise<void> {
  const holding: Engine = async function* hold(_request, { signal }) {
    yield* [];
    signs.begun.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    signs.stopped.resolve();
  };
  const talking: Engine = async function* talk(_request, { signal }) {
    signal.addEventListener("abort", () => signs.stopped.resolve());
    signs.begun.resolve();
    while (!signal.aborted) {
      yield { text: " word" };
      await pause(1);
    }
  };
  const prefilling: Engine = async function* prefill() {
    yield { text: "", prefillResult: {} };
  };
  const at = (component: string): string => `dyn://bench.${component}.generate`;
  await serveModel(runtime, { model: "silent", endpoint: at("silent") }, holding);
  await serveModel(runtime, { model: "queued", endpoint: at("queued"), requestLimit: 1 }, holding);
  await serveModel(runtime, { model: "talking", endpoint: at("talking") }, talking);
  await serveModel(runtime, { model: "prefilled", role: "prefill", endpoint: at("prefilled1") }, holding);
  await serveModel(runtime, { model: "prefilled", role: "decode", endpoint: at("prefilled2") }, talking);
  await serveModel(runtime, { model: "decoded", role: "prefill", endpoint: at("decoded1") }, prefilling);
  await serveModel(runtime, { model: "decoded", role: "decode", endpoint: at("decoded2") }, talking);
}

/** Sends a request whose answer nobody wants. */
type Post = (id: string, model: string, isStream: boolean) => ClientRequest;

function createPost(agent: Agent, port: number): Post {
  return (id, model, isStream) => {
    const headers = { "content-type": "application/json", "x-request-id": id };
    const sent = request(
      { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers },
      (response) => {
        response.on("error", () => undefined).resume(); // left on purpose
      },
    );
    sent.on("error", () => undefined);
    sent.end(JSON.stringify({ model, stream: isStream, messages: [{ role: "user", content: "hold" }] }));
    return sent;
  };
}

async function measurePhase(post: Post, signs: Signs, { model, isStream }: Phase): Promise<number[]> {
  const times: number[] = [];
  while (times.length < cancels) {
    signs.begun = Promise.withResolvers();
    signs.stopped = Promise.withResolvers();
    const sent = post(`${model}-${times.length}`, model, isStream);
    await expectSoon(`the begin of ${model}`, signs.begun.promise);
    await pause(settledMs);
    const leftAt = performance.now();
    sent.destroy();
    await expectSoon(`a cancel at the engine of ${model}`, signs.stopped.promise);
    times.push(performance.now() - leftAt);
  }
  return times;
}

// Its engine never hears of it: what counts is when its place in the queue is free, which the worker's line says.
async function measureQueued(post: Post, signs: Signs): Promise<number[]> {
  const lineOf = (id: string, message: string): Promise<void> =>
    new Promise((resolve) => signs.lines.set(`${id} ${message}`, resolve));
  signs.begun = Promise.withResolvers();
  const first = post("first", "queued", true);
  await expectSoon("the begin of the first of queued", signs.begun.promise);
  const times: number[] = [];
  while (times.length < cancels) {
    const id = `queued-${times.length}`;
    const received = lineOf(id, "request received");
    const completed = lineOf(id, "request completed");
    const sent = post(id, "queued", true);
    await expectSoon(`the arrival of ${id}`, received);
    await pause(settledMs);
    const leftAt = performance.now();
    sent.destroy();
    await expectSoon(`the cancel of ${id}`, completed);
    times.push(performance.now() - leftAt);
  }
  first.destroy();
  return times;
}

/** Cancel in every phase, many times. */
export async function measureCancels(agent: Agent): Promise<Row[]> {
  const signs: Signs = { begun: Promise.withResolvers(), stopped: Promise.withResolvers(), lines: new Map() };
  await using fleet = await openFleet(() => undefined);
  const { port } = await fleet.addFrontend();
  const log = createLogger({
    sink: ({ x_request_id: id, message }) => {
      const key = `${String(id)} ${String(message)}`;
      signs.lines.get(key)?.();
      signs.lines.delete(key);
    },
  });
  await using runtime = await createRuntime({ config: { fileKv: fleet.directory }, log: log.pino });
  await serveAll(runtime, signs);
  const names = ["silent", "queued", "talking", "prefilled", "decoded"];
  const areThere = async (): Promise<boolean> => {
    const models = await fetch(`http://127.0.0.1:${port}/v1/models`).then((response) => response.text());
    return names.every((model) => models.includes(`"${model}"`));
  };
  await eventually("the models", areThere, lostMs);
  const post = createPost(agent, port);
  const rows = [toTimesRow("cancel: queued", await measureQueued(post, signs), limit)];
  for (const phase of phases)
    rows.push(toTimesRow(`cancel: ${phase.name}`, await measurePhase(post, signs, phase), limit));
  return rows;
}
