/** The servers that are measured: a bare HTTP server, frontends and a worker, all in one discovery directory and ended with this process. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../tests/support/cluster.ts";
import { runLoad, type LoadResult } from "./load.ts";

export interface Server {
  readonly pid: number;
  readonly port: number;
}

const directory = mkdtempSync(join(tmpdir(), "dyn-bench-"));
const children = new Set<ChildProcess>();

/** End all of them at once. */
export function endServers(): void {
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
process.once("exit", endServers); // a signal, too

/** A program that is being started: `found` is what `look` has seen in one of its lines. */
export interface Starting<Found> {
  readonly child: ChildProcess;
  readonly found: Promise<Found>;
}

export interface StartOptions<Found> {
  /** Of the log. Default `info`. */
  readonly level?: string;
  readonly stream?: "stdout" | "stderr";
  readonly look: (line: string) => Found | undefined;
}

/** Start Node.js with these arguments. */
export function start<Found>(
  args: readonly string[],
  { level = "info", stream = "stderr", look }: StartOptions<Found>,
): Starting<Found> {
  const env = { ...process.env, DYN_FILE_KV: directory, DYN_LOG: level, DYN_LOGGING_JSONL: "1" };
  const child = spawn(process.execPath, [...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const found = new Promise<Found>((resolve, reject) => {
    const onLine = (line: string): void => {
      const value = look(line);
      if (value !== undefined) resolve(value);
    };
    createInterface({ input: child[stream] }).on("line", onLine);
    child[stream === "stdout" ? "stderr" : "stdout"].resume();
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      children.delete(child);
      reject(new Error(`${args.join(" ")} ended at its start (${signal ?? `exit code ${code}`})`));
    });
  });
  return { child, found };
}

export async function startEcho(): Promise<Server> {
  const look = (line: string): number => Number(line);
  const { child, found } = start(["benchmarks/echo-server.ts"], { stream: "stdout", look });
  return { port: await found, pid: child.pid ?? 0 };
}

/** Start a frontend with the command's own settings. */
export function startFrontend(level?: string): Starting<number> {
  const look = (line: string): number | undefined => {
    const port = line.includes('"frontend is listening"') && /"port":(\d+)/.exec(line)?.[1];
    return port ? Number(port) : undefined;
  };
  return start(["packages/frontend/bin/dyn-frontend.js", "--http-port", "0"], { ...(level && { level }), look });
}

/** Start a mock worker; resolves once it serves. */
export function startWorker(level: string): Starting<boolean> {
  const look = (line: string): boolean | undefined => line.includes('"endpoint is serving"') || undefined;
  return start(["packages/mock-worker/bin/dyn-mock-worker.js"], { level, look });
}

/** Resolves once it listens and knows the model. */
export async function openFrontend(level?: string): Promise<Server> {
  const { child, found } = startFrontend(level);
  const port = await found;
  const ask = (): Promise<LoadResult | undefined> =>
    runLoad({ port, body: chatBody("x", false), concurrency: 1, count: 1 }).catch(() => undefined);
  await eventually("a completion", ask, 10_000);
  return { port, pid: child.pid ?? 0 };
}

/** The body of a chat with this message. */
export function chatBody(content: string, stream: boolean): string {
  return JSON.stringify({ model: "mock", messages: [{ role: "user", content }], stream });
}
