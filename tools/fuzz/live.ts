/** Fuzz from end to end: hostile bytes to the ports of a running worker and a running frontend, which must go on serving everybody else. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { chat, eventually, startCluster, type Cluster, type Line, type Program } from "../../tests/support/cluster.ts";
import { residentMib } from "../../tests/support/memory.ts";
import { sendRaw } from "../../tests/support/raw-http.ts";
import { createLiveCases, type Door, type LiveCase, type MakeLiveCase } from "./live-cases.ts";

/** Conversations at a time. */
const lanes = 16;
/** A peer that has said everything waits no longer for the end of its connection, ms. */
const endMs = 20_000;
const checkEvery = 200;
/** Heap of either process, MiB: what is held and let go stays below, a leak ends the process. */
const heapMb = 96;
/** What they may hold more at the end than after a tenth, bytes: their heaps fill up to the limit. */
const maxGrownBytes = 128 * 1024 * 1024;

export interface LiveOptions {
  readonly seed: number;
  readonly cases: number;
  readonly onProgress?: (fed: number) => void;
}

export interface LiveFailure {
  readonly door: Door;
  readonly index: number;
  readonly bytes: Buffer;
  readonly reason: string;
}

export interface LiveReport {
  readonly cases: number;
  readonly seconds: number;
  /** HTTP answers by status; 0 = none. */
  readonly answers: Readonly<Record<number, number>>;
  readonly checks: number;
  readonly failures: readonly LiveFailure[];
  /** Resident memory of both processes: at the end, less after a tenth, bytes. */
  readonly grownBytes: number;
}

type Ports = Readonly<Record<Door, number>>;

/** @throws Error if the processes do not come back to what they were: sockets, requests under way, memory. */
export async function runLive({ seed, cases, onProgress }: LiveOptions): Promise<LiveReport> {
  await using cluster = await startCluster({
    workerArgs: ["--system-port", "0"],
    env: { NODE_OPTIONS: `--max-old-space-size=${heapMb}` },
  });
  const ports: Ports = { http: Number(new URL(cluster.url).port), plane: planePort(cluster) };
  await assertServes(cluster, -1);
  const base = countFiles(cluster);
  const state: LiveState = { next: 0, answers: {}, failures: [], checks: 0, held: measureResident(cluster) };
  const startedAt = performance.now();
  const make = createLiveCases(seed);
  await Promise.all(Array.from({ length: lanes }, () => drive({ make, cases, ports, cluster, state, onProgress })));
  const seconds = (performance.now() - startedAt) / 1000;
  await assertServes(cluster, cases);
  await eventually("their files and sockets being as many as before", () => countFiles(cluster) <= base, endMs);
  await eventually("no request being under way", async () => (await countRunning(cluster)) === 0, endMs);
  const grownBytes = measureResident(cluster) - state.held;
  if (grownBytes > maxGrownBytes)
    throw new Error(`the processes hold ${grownBytes} bytes more than after a tenth of the cases`);
  const faults = [...cluster.frontend.lines(), ...cluster.workers.flatMap((worker) => worker.lines())].filter(isFault);
  if (faults[0])
    throw new Error(`${faults.length} faults of our own in the logs, the first: ${JSON.stringify(faults[0])}`);
  return { cases, seconds, answers: state.answers, checks: state.checks, failures: state.failures, grownBytes };
}

interface LiveState {
  next: number;
  readonly answers: Record<number, number>;
  readonly failures: LiveFailure[];
  checks: number;
  held: number;
}

interface Drive {
  readonly make: MakeLiveCase;
  readonly cases: number;
  readonly ports: Ports;
  readonly cluster: Cluster;
  readonly state: LiveState;
  readonly onProgress: ((fed: number) => void) | undefined;
}

// One lane: a conversation after the other, until all have been held.
async function drive({ make, cases, ports, cluster, state, onProgress }: Drive): Promise<void> {
  while (state.next < cases) {
    const index = state.next;
    state.next += 1;
    const each = make(index);
    const { isEnded, said } = await converse(ports[each.door], each);
    const reason = isEnded ? judge(each, said, state) : `no end within ${endMs} ms`;
    if (reason !== undefined) state.failures.push({ door: each.door, index, bytes: each.bytes, reason });
    if (index === Math.floor(cases / 10)) state.held = measureResident(cluster);
    if (index % checkEvery !== 0) continue;
    await assertServes(cluster, index);
    state.checks += 1;
    onProgress?.(index);
  }
}

interface Conversation {
  readonly isEnded: boolean;
  readonly said: Buffer;
}

// Say everything and read until the other side ends. Who is not owed an answer ends this side before, as a client that leaves.
async function converse(port: number, { bytes, isRequest }: LiveCase): Promise<Conversation> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("error", () => undefined); // a peer that refuses may reset
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("close", () => resolve(true));
  const timer = setTimeout(() => resolve(false), endMs);
  socket.write(bytes);
  if (!isRequest) socket.end();
  const isEnded = await promise;
  clearTimeout(timer);
  socket.destroy();
  return { isEnded, said: Buffer.concat(chunks) };
}

/** What the client is told of its own request: a coding that is not served, a version that is not spoken. */
const refusals: ReadonlySet<number> = new Set([501, 505]);

// What is wrong with an answer: none to a whole request, or one that blames us.
function judge({ door, isRequest }: LiveCase, said: Buffer, { answers }: LiveState): string | undefined {
  if (door === "plane") return undefined;
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(said.toString("latin1", 0, 32))?.[1] ?? 0);
  answers[status] = (answers[status] ?? 0) + 1;
  if (status >= 500 && !refusals.has(status)) return `an answer with status ${status}: ${said.toString().slice(-300)}`;
  return isRequest && status === 0 ? "no answer" : undefined;
}

async function assertServes({ url }: Cluster, index: number): Promise<void> {
  const content = `is everything all right after case ${index}?`;
  const { status, body } = await sendRaw(url, { body: JSON.stringify(chat(content)) });
  const answer =
    status === 200
      ? (JSON.parse(body) as { choices: { message: { content: string } }[] }).choices[0]?.message.content
      : body;
  if (answer !== content)
    throw new Error(`an ordinary request after case ${index} was answered with ${status}: ${answer}`);
}

function planePort({ directory }: Cluster): number {
  const bucket = join(directory, "v1/instances");
  const [name = ""] = readdirSync(bucket);
  const address = /"tcp":"[^":]*:(\d+)/.exec(readFileSync(join(bucket, name), "utf8"));
  return Number(address?.[1]);
}

const all = ({ frontend, workers }: Cluster): readonly Program[] => [frontend, ...workers];

function countFiles(cluster: Cluster): number {
  if (!existsSync("/proc/self/fd")) return 0; // no Linux
  return all(cluster).reduce((sum, { pid }) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}

function measureResident(cluster: Cluster): number {
  return all(cluster).reduce((sum, { pid }) => sum + (residentMib(pid) ?? 0), 0) * 1024 * 1024;
}

const runningPattern =
  /^(?:dynamo_frontend_active_requests|dynamo_component_inflight_requests|dynamo_request_plane_inflight_requests)\b[^ ]* (\d+)/gm;

async function countRunning({ url, workers: [worker] }: Cluster): Promise<number> {
  const system = worker?.lines().find(({ message }) => message === "system server is listening");
  const pages = await Promise.all(
    [url, `http://127.0.0.1:${String(system?.["port"])}`].map((each) =>
      sendRaw(each, { requestLine: "GET /metrics HTTP/1.1" }),
    ),
  );
  const values = pages.flatMap(({ body }) => [...body.matchAll(runningPattern)].map(([, value]) => Number(value)));
  if (values.length < 3) throw new Error("the metrics do not say how many requests are under way");
  return values.reduce((sum, value) => sum + value, 0);
}

// Mistakes of ours that a peer has found. Payloads that cannot be read are its own, and have that label too.
function isFault(line: Line): boolean {
  const isInternal = line["error.type"] === "internal" || line["error_type"] === "internal";
  return isInternal && !/^request (?:payload|stream refused:) /.test(String(line["error"])); // what its caller has sent
}
