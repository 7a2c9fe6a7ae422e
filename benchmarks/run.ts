// What the frontend costs beside a bare node:http echo, and the plane by itself. One run, ratios; numbers go to benchmarks/results.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../tests/support/cluster.ts";
import { measureIdle } from "./idle.ts";
import { measureJoins } from "./joins.ts";
import { cpuSeconds, median, runLoad, type LoadResult } from "./load.ts";
import { measurePlane } from "./plane.ts";
import { atLeast, atMost, runBench, type Row } from "./table.ts";

const directory = mkdtempSync(join(tmpdir(), "dyn-bench-"));
const children: ChildProcess[] = [];
const endAll = (): void => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
};
process.once("exit", endAll); // a signal, too

function start(
  args: readonly string[],
  level: string,
  stdio: "stdout" | "stderr",
  onLine: (line: string) => void,
): ChildProcess {
  const env = { ...process.env, DYN_FILE_KV: directory, DYN_LOG: level, DYN_LOGGING_JSONL: "1" };
  const child = spawn(process.execPath, [...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const stream = child[stdio];
  if (stream) createInterface({ input: stream }).on("line", onLine);
  const other = child[stdio === "stdout" ? "stderr" : "stdout"];
  other?.resume();
  return child;
}

function rejectAtEnd(child: ChildProcess, name: string, reject: (error: Error) => void): void {
  child.once("error", reject);
  child.once("exit", (code, signal) =>
    reject(new Error(`${name} ended at its start (${signal ?? `exit code ${code}`})`)),
  );
}

interface Server {
  readonly pid: number;
  readonly port: number;
}

async function startEcho(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const child = start(["benchmarks/echo-server.ts"], "info", "stdout", (line) =>
      resolve({ pid: child.pid ?? 0, port: Number(line) }),
    );
    rejectAtEnd(child, "the echo server", reject);
  });
}

async function startFrontend(level: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const child = start(["packages/frontend/bin/dyn-frontend.js", "--http-port", "0"], level, "stderr", (line) => {
      const port = /"port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve({ pid: child.pid ?? 0, port: Number(port) });
    });
    rejectAtEnd(child, "the frontend", reject);
  });
}

function chatBody(content: string, stream: boolean): string {
  return JSON.stringify({ model: "mock", messages: [{ role: "user", content }], stream });
}

async function waitForModel(port: number): Promise<void> {
  const ask = (): Promise<LoadResult | undefined> =>
    runLoad({ port, body: chatBody("x", false), concurrency: 1, count: 1 }).catch(() => undefined);
  await eventually("a completion", ask, 10_000);
}

interface Cost {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p50Ms: number;
}

async function cost({ pid, port }: Server, body: string, concurrency: number, count: number): Promise<Cost> {
  await runLoad({ port, body, concurrency, count }); // until its code is compiled: what a server costs in its second minute, not in its first
  const before = cpuSeconds(pid);
  const result: LoadResult = await runLoad({ port, body, concurrency, count });
  return {
    cpuMicros: ((cpuSeconds(pid) - before) * 1e6) / count,
    perSecond: count / result.seconds,
    p50Ms: median(result.timesMs),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

type Results = Awaited<ReturnType<typeof measureAll>>;

async function measureAll() {
  const echo = await startEcho();
  start(["packages/mock-worker/bin/dyn-mock-worker.js"], "off", "stderr", () => undefined);
  const loud = await startFrontend("info");
  const quiet = await startFrontend("info,dyn_frontend::request_log=warn");
  await Promise.all([loud, quiet].map(({ port }) => waitForModel(port)));
  const unary = chatBody("word", false);
  const tokens = 200;
  const streamed = chatBody("word ".repeat(tokens).trim(), true);
  const echoCost = await cost(echo, unary, 64, 20_000);
  const unaryCost = await cost(quiet, unary, 64, 20_000);
  const loudCost = await cost(loud, unary, 64, 20_000);
  const streamCost = await cost(quiet, streamed, 64, 2_000);
  const loneEcho = await cost(echo, unary, 1, 2_000);
  const loneUnary = await cost(quiet, unary, 1, 2_000);
  const plane = await measurePlane();
  const idleMib = await measureIdle();
  return {
    node: process.version,
    echo_cpu_us: round(echoCost.cpuMicros),
    unary_cpu_us: round(unaryCost.cpuMicros),
    unary_logged_cpu_us: round(loudCost.cpuMicros),
    unary_efficiency: round(echoCost.cpuMicros / unaryCost.cpuMicros),
    unary_logged_efficiency: round(echoCost.cpuMicros / loudCost.cpuMicros),
    unary_per_second: Math.round(unaryCost.perSecond),
    streamed_token_cpu_us: round(streamCost.cpuMicros / tokens),
    streamed_tokens_per_second: Math.round(streamCost.perSecond * tokens),
    streamed_token_vs_echo: round(streamCost.cpuMicros / tokens / echoCost.cpuMicros),
    lone_echo_p50_ms: round(loneEcho.p50Ms),
    lone_unary_p50_ms: round(loneUnary.p50Ms),
    added_p50_round_trips: round((loneUnary.p50Ms - loneEcho.p50Ms) / loneEcho.p50Ms),
    plane_decode_us_per_frame: round(plane.decodeMicros),
    plane_frames_per_second: Math.round(1e6 / plane.decodeMicros),
    plane_through_us_per_item: round(plane.throughMicros),
    idle_mib_per_1000_streams: round(idleMib),
  };
}

function toRows(results: Results): readonly Row[] {
  const read = (name: string, value: string | number): Row => ({ name, value: String(value) });
  return [
    read("bare node:http echo, CPU per request", `${results.echo_cpu_us} µs`),
    read("frontend, CPU per unary request", `${results.unary_cpu_us} µs`),
    atLeast("  efficiency beside the echo", results.unary_efficiency, 0.45),
    read("  the same with all lines at info", results.unary_logged_efficiency),
    read("frontend, unary requests/s, 64 at a time", results.unary_per_second),
    read("frontend, CPU per streamed token (200 a stream, 64 at a time)", `${results.streamed_token_cpu_us} µs`),
    read("  streamed tokens/s", results.streamed_tokens_per_second),
    read("  a token's share of an echo request", results.streamed_token_vs_echo),
    read("lone unary request, p50", `${results.lone_unary_p50_ms} ms`),
    atMost("  added, in round trips of the echo", results.added_p50_round_trips, 2.5, "", 3),
    atMost("plane, receive cost per item frame", results.plane_decode_us_per_frame, 0.3, " µs", 3),
    read("  frames/s", results.plane_frames_per_second),
    read("plane, both ends and the kernel, per item", `${results.plane_through_us_per_item} µs`),
    atMost(
      "frontend, memory of 1000 open streams that wait (of 5000)",
      results.idle_mib_per_1000_streams,
      30,
      " MiB",
      3,
    ),
  ];
}

function keep(results: Results): void {
  writeFileSync(new URL("results/latest.json", import.meta.url), `${JSON.stringify(results, undefined, 2)}\n`);
}

await runBench({
  script: "bench",
  about:
    "what a request and a token cost, beside a bare HTTP server in the same run, and what a worker costs that joins many others",
  seconds: 75,
  flags: { keep: "write the numbers to benchmarks/results/latest.json" },
  async measure(flags) {
    const results = await measureAll();
    if (flags.has("keep")) keep(results);
    return [...toRows(results), ...(await measureJoins())];
  },
});
endAll();
