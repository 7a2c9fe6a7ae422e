// How fast a cancel reaches the engine, and how long a client waits for the next token when its worker fails.
import { Agent, request, type ClientRequest } from "node:http";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine } from "@dyn/runtime/llm";
import { createLogger } from "../packages/runtime/src/logging/logger.ts";
import { eventually } from "../tests/cluster.ts";
import { openFleet } from "../tests/fleet.ts";
import { median } from "./load.ts";
import { runBench, type Row } from "./table.ts";

const cancels = 200;
const answers = 300;
const crashes = 20;
const itlMs = 5;
const cancelLimit = { of: "p99", mostMs: 50 } as const;
const gapLimit = { of: "p50", mostMs: 25 } as const;
/** A cancel that is not there by then is lost. */
const lostMs = 10_000;
const failsAt = 20;
/** Faults strike often here: no answer is to end because they did so too often. */
const role = ["--itl-ms", String(itlMs), "--migration-limit", "20"];
const text = Array.from({ length: 2 * failsAt }, (_, index) => `word${index}`).join(" ");

const agent = new Agent({ keepAlive: true });
const rows: Row[] = [];

function post(port: number, id: string, body: object, onData: () => void): ClientRequest {
  const headers = { "content-type": "application/json", "x-request-id": id };
  const sent = request({ agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers }, (response) => {
    response.on("data", onData);
    response.on("error", () => undefined); // left on purpose
  });
  sent.on("error", () => undefined);
  sent.end(JSON.stringify(body));
  return sent;
}

function ask(model: string, content: string, stream: boolean): object {
  return { model, stream, messages: [{ role: "user", content }] };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const columns = ["p50", "p99", "max", "samples"];

interface Limit {
  readonly of: "p50" | "p99";
  readonly mostMs: number;
}

function report(name: string, times: readonly number[], limit?: Limit): void {
  const sorted = times.toSorted((left, right) => left - right);
  const [p50, p99, max] = [median(sorted), quantile(sorted, 0.99), sorted.at(-1) ?? Number.NaN];
  const cells = [p50, p99, max].map((ms) => ms.toFixed(1)).concat(String(sorted.length));
  const value = formatCells(cells);
  if (!limit) return void rows.push({ name, value });
  const { of, mostMs } = limit;
  rows.push({ name, value, limit: { isKept: { p50, p99 }[of] <= mostMs, text: `${of} at most ${mostMs} ms` } });
}

function formatCells(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(8)).join("");
}

/** What `wait` gives; rejects with `what` if it is lost. */
async function within<Value>(what: string, wait: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${lostMs} ms`)), lostMs);
  });
  return Promise.race([wait, late]).finally(() => clearTimeout(timer));
}

interface Moment {
  readonly reached: Promise<void>;
  reach(): void;
}

function createMoment(): Moment {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  return { reached, reach: () => resolve() };
}

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

// What the engines tell: that they have begun, and that they were told to stop.
let begun = createMoment();
let stopped = createMoment();

const holding: Engine = async function* hold(_request, { signal }) {
  yield* [];
  begun.reach();
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  stopped.reach();
};
const talking: Engine = async function* talk(_request, { signal }) {
  signal.addEventListener("abort", () => stopped.reach());
  begun.reach();
  while (!signal.aborted) {
    yield { text: " word" };
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};
const prefilling: Engine = async function* prefill() {
  yield { text: "", prefillResult: {} };
};

async function serveAll(runtime: Runtime): Promise<void> {
  const at = (component: string): string => `dyn://bench.${component}.generate`;
  await serveModel(runtime, { model: "silent", endpoint: at("silent") }, holding);
  await serveModel(runtime, { model: "queued", endpoint: at("queued"), requestLimit: 1 }, holding);
  await serveModel(runtime, { model: "talking", endpoint: at("talking") }, talking);
  await serveModel(runtime, { model: "prefilled", role: "prefill", endpoint: at("prefilled1") }, holding);
  await serveModel(runtime, { model: "prefilled", role: "decode", endpoint: at("prefilled2") }, talking);
  await serveModel(runtime, { model: "decoded", role: "prefill", endpoint: at("decoded1") }, prefilling);
  await serveModel(runtime, { model: "decoded", role: "decode", endpoint: at("decoded2") }, talking);
}

async function measureCancel(port: number, { model, isStream }: Phase): Promise<number[]> {
  const times: number[] = [];
  while (times.length < cancels) {
    begun = createMoment();
    stopped = createMoment();
    const sent = post(port, `${model}-${times.length}`, ask(model, "hold", isStream), () => undefined);
    await within(`the begin of ${model}`, begun.reached);
    await new Promise((resolve) => setTimeout(resolve, 5)); // well into the phase
    const leftAt = performance.now();
    sent.destroy();
    await within(`a cancel at the engine of ${model}`, stopped.reached);
    times.push(performance.now() - leftAt);
  }
  return times;
}

// Lines of this process's worker, by client id and message.
const awaited = new Map<string, () => void>();

function lineOf(id: string, message: string): Promise<void> {
  return new Promise((resolve) => awaited.set(`${id} ${message}`, resolve));
}

// Its engine never hears of it: what counts is when its place in the queue is free, which the worker's line says.
async function measureQueued(port: number): Promise<number[]> {
  begun = createMoment();
  const first = post(port, "first", ask("queued", "hold", true), () => undefined);
  await within("the begin of the first of queued", begun.reached);
  const times: number[] = [];
  while (times.length < cancels) {
    const id = `queued-${times.length}`;
    const received = lineOf(id, "request received");
    const completed = lineOf(id, "request completed");
    const sent = post(port, id, ask("queued", "wait", true), () => undefined);
    await within(`the arrival of ${id}`, received);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const leftAt = performance.now();
    sent.destroy();
    await within(`the cancel of ${id}`, completed);
    times.push(performance.now() - leftAt);
  }
  first.destroy();
  return times;
}

async function benchCancels(): Promise<void> {
  await using fleet = await openFleet(() => undefined);
  const { port } = await fleet.addFrontend();
  const log = createLogger({
    sink: ({ x_request_id: id, message }) => {
      const key = `${String(id)} ${String(message)}`;
      awaited.get(key)?.();
      awaited.delete(key);
    },
  });
  await using runtime = await createRuntime({ config: { fileKv: fleet.directory }, log });
  await serveAll(runtime);
  const names = ["silent", "queued", "talking", "prefilled", "decoded"];
  const areThere = async (): Promise<boolean> => {
    const models = await fetch(`http://127.0.0.1:${port}/v1/models`).then((response) => response.text());
    return names.every((model) => models.includes(`"${model}"`));
  };
  await eventually("the models", areThere, 10_000);
  report("cancel: queued", await measureQueued(port), cancelLimit);
  for (const phase of phases) report(`cancel: ${phase.name}`, await measureCancel(port, phase), cancelLimit);
}

interface Stream {
  /** When each token came. */
  readonly tokensAt: readonly number[];
}

function read(port: number, id: string): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const tokensAt: number[] = [];
    let raw = "";
    const headers = { "content-type": "application/json", "x-request-id": id };
    const options = { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers };
    const sent = request(options, (response) => {
      response.on("data", (chunk: Buffer) => {
        raw += chunk.toString();
        const tokens = raw.split('"content":"word').length + raw.split('"content":" word').length - 2 - tokensAt.length;
        for (let count = 0; count < tokens; count += 1) tokensAt.push(performance.now());
      });
      response.on("end", () =>
        tokensAt.length === 2 * failsAt ? resolve({ tokensAt }) : reject(new Error(`${id} came to ${tokensAt.length} tokens: ${raw}`)),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(ask("mock", text, true)));
  });
}

/** Client ids of answers that one worker began and another one ended. */
const resumed = new Set<string>();

function noteResumed(line: string): void {
  if (line.includes('"resumed_tokens"')) resumed.add((JSON.parse(line) as { x_request_id: string }).x_request_id);
}

// The longest wait between two tokens, of the answers that needed more than one worker and of those that did not.
function reportGaps(name: string, streams: ReadonlyMap<string, Stream>): void {
  const gaps: Record<"calm" | "failed", number[]> = { calm: [], failed: [] };
  for (const [id, { tokensAt }] of streams) {
    const waits = tokensAt.slice(1).map((at, index) => at - (tokensAt[index] ?? at));
    gaps[resumed.has(id) ? "failed" : "calm"].push(Math.max(...waits));
  }
  if (gaps.calm.length > 0) report(`longest gap, ${name}: undisturbed (tokens are ${itlMs} ms apart)`, gaps.calm);
  report(`longest gap, ${name}: failed over`, gaps.failed, gapLimit);
}

async function benchFault(fault: string): Promise<void> {
  await using fleet = await openFleet(noteResumed);
  const { port } = await fleet.addFrontend();
  for (let index = 0; index < 3; index += 1) await fleet.addWorker([...role, "--seed", String(index), "--fault", `${fault}@${failsAt}%0.2`]);
  const streams = new Map<string, Stream>();
  for (let index = 0; index < answers; index += 10) {
    const ids = Array.from({ length: 10 }, (_, lane) => `${fault}-${index + lane}`);
    for (const [id, stream] of await Promise.all(ids.map(async (each) => [each, await read(port, each)] as const))) streams.set(id, stream);
  }
  await fleet.drain(); // their last lines say which were resumed
  reportGaps(fault, streams);
}

async function benchCrash(): Promise<void> {
  await using fleet = await openFleet(noteResumed);
  const { port } = await fleet.addFrontend();
  await fleet.addWorker(role);
  const streams = new Map<string, Stream>();
  while (streams.size < 2 * crashes) {
    const { program } = await fleet.addWorker([...role, "--fault", `crash@${failsAt}`]);
    const ids = [0, 1].map((lane) => `crash-${streams.size + lane}`); // one of the two goes there
    for (const [id, stream] of await Promise.all(ids.map(async (each) => [each, await read(port, each)] as const))) streams.set(id, stream);
    program.kill("SIGKILL");
  }
  await fleet.drain();
  reportGaps("crash", streams);
}

async function measure(): Promise<readonly Row[]> {
  await benchCancels();
  await benchFault("cut");
  await benchFault("error:unavailable");
  await benchCrash();
  return rows;
}

try {
  await runBench({
    script: "bench:recovery",
    about: "how fast a cancel reaches the engine, and the pause a client sees when its worker fails",
    seconds: 60,
    heading: `milliseconds ${formatCells(columns)}`,
    measure,
  });
} finally {
  agent.destroy();
}
