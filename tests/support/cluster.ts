/** Real processes for black-box tests: a frontend, workers, their log lines. Everything ends with the fixture. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const binaries = join(root, "node_modules", ".bin");

// Settings of whoever runs the tests must not reach the programs, nor the directory where their own programs meet.
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(?:DYN_|OTEL_|XDG_RUNTIME_DIR$)/.test(name)),
);

// A test that is given up disposes nothing.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** One JSONL record. */
export type Line = Readonly<Record<string, unknown>>;

/** Ask again every 10 ms until `look` gives something; fails with `what` at the deadline, which is far beyond what a busy machine needs. */
export async function eventually<Value>(
  what: string,
  look: () => Value | undefined | false | Promise<Value | undefined | false>,
  timeoutMs = 60_000,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface Program extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcess;
  /** All of standard error so far. */
  stderr(): string;
  stdout(): string;
  /** Its JSON lines so far. */
  lines(): Line[];
  kill(signal: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

export interface ProgramOptions {
  /** Lines of standard error go there and are not kept. */
  readonly onLine?: (line: string) => void;
  /** It notices if this process is gone, by a channel to it, and a Ctrl-C in the terminal does not reach it. Default false. */
  readonly isOwned?: boolean;
  /** A command of the PATH, with its arguments, that runs it. Default: none. */
  readonly runner?: readonly string[];
}

/** Start a command of node_modules/.bin, or a file with the pinned Node. Killed when disposed. */
export function startProgram(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { onLine, isOwned = false, runner = [] }: ProgramOptions = {},
): Program {
  const [first = "", ...rest] = [...runner, join(binaries, command), ...args];
  const child = spawn(first, rest, {
    cwd: root,
    env: { ...inherited, PATH: `${binaries}:${process.env["PATH"] ?? ""}`, DYN_LOGGING_JSONL: "1", ...env },
    stdio: ["ignore", "pipe", "pipe", ...(isOwned ? (["ipc"] as const) : [])],
    detached: isOwned,
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  if (onLine && child.stderr) createInterface({ input: child.stderr }).on("line", onLine);
  else child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal ?? -1));
  });
  return {
    pid: child.pid ?? -1,
    child,
    stderr: () => output.stderr,
    stdout: () => output.stdout,
    lines: createLineReader(() => output.stderr),
    kill: (signal) => void child.kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

// Whoever waits for a line asks every 10 ms: each line is parsed once.
function createLineReader(textOf: () => string): () => Line[] {
  const lines: Line[] = [];
  let readUpTo = 0;
  return () => {
    const text = textOf();
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(readUpTo, end).split("\n"))
      if (line.startsWith("{")) lines.push(JSON.parse(line) as Line);
    readUpTo = Math.max(readUpTo, end);
    return lines.slice();
  };
}

export interface Cluster extends AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly frontend: Program;
  readonly workers: Program[];
  /** Start one more worker; resolves once the frontend has seen an instance of it. */
  addWorker(...args: string[]): Promise<Program>;
}

export interface ClusterOptions {
  readonly workers?: number;
  readonly workerArgs?: readonly string[];
  readonly frontendArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function countJoined(frontend: Program): number {
  return frontend.lines().filter(({ message }) => message === "instance joined").length;
}

/** A frontend on port 0 and mock workers, in a discovery directory of their own. */
export async function startCluster({
  workers: count = 1,
  workerArgs = [],
  frontendArgs = [],
  env = {},
}: ClusterOptions = {}): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-cluster-"));
  const variables = { ...env, DYN_FILE_KV: directory };
  const frontend = startProgram("dyn-frontend", ["--http-port", "0", ...frontendArgs], variables);
  const workers: Program[] = [];
  const cluster = {
    directory,
    frontend,
    workers,
    async addWorker(...args: string[]) {
      const before = countJoined(frontend);
      const worker = startProgram("dyn-mock-worker", [...workerArgs, ...args], variables);
      workers.push(worker);
      await eventually(`a worker joining (${worker.stderr()})`, () => countJoined(frontend) > before);
      return worker;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([frontend, ...workers].map((program) => program[Symbol.asyncDispose]()));
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    const listening = await eventually(`the frontend listening`, () =>
      frontend.lines().find(({ message }) => message === "frontend is listening"),
    );
    for (let index = 0; index < count; index += 1) await cluster.addWorker();
    return { ...cluster, url: String(listening["url"]) };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw new Error(
      `${(error as Error).message}\n${frontend.stderr()}${workers.map((worker) => worker.stderr()).join("")}`,
      { cause: error },
    );
  }
}

/** POST a chat body. */
export function postChat(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

export function chat(content: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { model: "mock", messages: [{ role: "user", content }], ...more };
}

/** The first line with this message, and these fields, once it is there. */
export function lineOf(program: Program | undefined, message: string, fields: Line = {}): Promise<Line> {
  const wanted = Object.entries({ ...fields, message });
  return eventually(`the line ${message}`, () =>
    program?.lines().find((line) => wanted.every(([name, value]) => line[name] === value)),
  );
}

/** Where a worker that was started with DYN_SYSTEM_PORT has its system server. */
export function systemUrl(worker: Program | undefined): string {
  const line = worker?.lines().find(({ message }) => message === "system server is listening");
  return `http://127.0.0.1:${String(line?.["port"])}`;
}

/** End the faults of a worker that was started with DYN_SYSTEM_PORT: what hangs there goes on. */
export async function release(worker: Program | undefined): Promise<void> {
  const response = await fetch(`${systemUrl(worker)}/faults`, { method: "DELETE" });
  if (!response.ok) throw new Error(`the faults could not be ended: ${response.status} ${await response.text()}`);
}
