// What the frontend costs beside a bare node:http echo, and the plane by itself. One run, ratios; numbers go to benchmarks/results.
import { writeFileSync } from "node:fs";
import { measureIdle } from "./idle.ts";
import { measureHistory } from "./history.ts";
import { measureJoins } from "./joins.ts";
import { measureLines } from "./log-line.ts";
import { cpuSeconds, median, runLoad, type LoadResult } from "./load.ts";
import { measurePlane } from "./plane.ts";
import { chatBody, endServers, openFrontend, startEcho, startWorker, type Server } from "./servers.ts";
import { measureResident, measureStarts, startRounds } from "./startup.ts";
import { atLeast, atMost, runBench, sayStep, type Row } from "./table.ts";

/** Rounds by turns, of which the cheapest counts: whatever else the machine does makes a request dearer, never cheaper. */
const rounds = 4;
const roundRequests = 10_000;
const tokens = 200;
const roundStreams = 1_000;

interface Cost {
  /** The cheapest round's. */
  readonly cpuMicros: number;
  /** The dearest round's. */
  readonly mostCpuMicros: number;
  /** The fastest round's. */
  readonly perSecond: number;
}

interface Load {
  readonly server: Server;
  readonly body: string;
  readonly count: number;
}

async function cost({ server: { pid, port }, body, count }: Load): Promise<Cost> {
  const before = cpuSeconds(pid);
  const { seconds } = await runLoad({ port, body, concurrency: 64, count });
  const cpuMicros = ((cpuSeconds(pid) - before) * 1e6) / count;
  return { cpuMicros, mostCpuMicros: cpuMicros, perSecond: count / seconds };
}

/** What a request of each load costs, all of them measured by turns. */
async function costs<Name extends string>(loads: Readonly<Record<Name, Load>>): Promise<Record<Name, Cost>> {
  const names = Object.keys(loads) as Name[];
  // Until the code is compiled: what a server costs in its second minute, not in its first.
  for (const name of names) {
    sayStep(`${name}: warming up`);
    await cost({ ...loads[name], count: 2 * loads[name].count });
  }
  const all = new Map<Name, Cost[]>(names.map((name) => [name, []]));
  for (let turn = 0; turn < rounds; turn += 1) {
    sayStep(`${names.join(", ")}: round ${turn + 1} of ${rounds}`);
    for (const name of names) all.get(name)?.push(await cost(loads[name]));
  }
  const entries = names.map((name) => [name, summarize(all.get(name) ?? [])] as const);
  return Object.fromEntries(entries) as Record<Name, Cost>;
}

function summarize(costs: readonly Cost[]): Cost {
  const micros = costs.map(({ cpuMicros }) => cpuMicros);
  return {
    cpuMicros: Math.min(...micros),
    mostCpuMicros: Math.max(...micros),
    perSecond: Math.max(...costs.map(({ perSecond }) => perSecond)),
  };
}

async function p50Ms({ port }: Server, body: string): Promise<number> {
  const result: LoadResult = await runLoad({ port, body, concurrency: 1, count: 2_000 });
  return median(result.timesMs);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

type Results = Awaited<ReturnType<typeof measureAll>>;

async function measureAll() {
  sayStep("starting the servers");
  const server = await startEcho();
  await startWorker("off,dyn_runtime=info,dyn_runtime::ingress=off").found; // says that it serves, and nothing of requests
  const loud = await openFrontend("info");
  const quiet = await openFrontend("info,dyn_frontend::request_log=warn");
  const unary = chatBody("word", false);
  const streamed = chatBody("word ".repeat(tokens).trim(), true);
  const { echo, plain, logged, stream } = await costs({
    echo: { server, body: unary, count: roundRequests },
    plain: { server: quiet, body: unary, count: roundRequests },
    logged: { server: loud, body: unary, count: roundRequests },
    stream: { server: quiet, body: streamed, count: roundStreams },
  });
  sayStep("one request at a time");
  const [loneEcho, loneUnary] = [await p50Ms(server, unary), await p50Ms(quiet, unary)];
  sayStep("memory under a light load");
  const resident = await measureResident();
  sayStep("the plane by itself");
  const plane = await measurePlane();
  sayStep("open streams that wait");
  const idleMib = await measureIdle();
  sayStep("start-up");
  const starts = await measureStarts();
  return {
    node: process.version,
    echo_cpu_us: round(echo.cpuMicros),
    echo_cpu_us_dearest: round(echo.mostCpuMicros),
    unary_cpu_us: round(plain.cpuMicros),
    unary_cpu_us_dearest: round(plain.mostCpuMicros),
    unary_logged_cpu_us: round(logged.cpuMicros),
    unary_logged_cpu_us_dearest: round(logged.mostCpuMicros),
    unary_efficiency: round(echo.cpuMicros / plain.cpuMicros),
    unary_logged_efficiency: round(echo.cpuMicros / logged.cpuMicros),
    unary_per_second: Math.round(plain.perSecond),
    streamed_token_cpu_us: round(stream.cpuMicros / tokens),
    streamed_tokens_per_second: Math.round(stream.perSecond * tokens),
    streamed_token_vs_echo: round(stream.cpuMicros / tokens / echo.cpuMicros),
    lone_echo_p50_ms: round(loneEcho),
    lone_unary_p50_ms: round(loneUnary),
    added_p50_round_trips: round((loneUnary - loneEcho) / loneEcho),
    plane_decode_us_per_frame: round(plane.decodeMicros),
    plane_frames_per_second: Math.round(1e6 / plane.decodeMicros),
    plane_through_us_per_item: round(plane.throughMicros),
    idle_mib_per_1000_streams: round(idleMib),
    resident_mib: round(resident),
    ...starts,
  };
}

function toRows(results: Results): readonly Row[] {
  const read = (name: string, value: string | number): Row => ({ name, value: String(value) });
  return [
    read(`bare node:http echo, CPU per request, cheapest of ${rounds} rounds`, `${results.echo_cpu_us} µs`),
    read("  dearest round", `${results.echo_cpu_us_dearest} µs`),
    read(`frontend, CPU per unary request, cheapest of ${rounds} rounds`, `${results.unary_cpu_us} µs`),
    read("  dearest round", `${results.unary_cpu_us_dearest} µs`),
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
    atMost("frontend, resident memory under a light load", results.resident_mib, 160, " MiB", 0),
    read(`bare node:http server, until it listens, fastest of ${startRounds}`, `${results.bare_start_ms} ms`),
    atMost(`frontend, until it listens, fastest of ${startRounds}`, results.frontend_start_ms, 250, " ms", 0),
    read("  median", `${results.frontend_start_ms_median} ms`),
    atMost(`mock worker, until it serves, fastest of ${startRounds}`, results.worker_start_ms, 250, " ms", 0),
    read("  median", `${results.worker_start_ms_median} ms`),
  ];
}

function keep(results: Results): void {
  writeFileSync(new URL("results/latest.json", import.meta.url), `${JSON.stringify(results, undefined, 2)}\n`);
}

await runBench({
  script: "bench",
  about:
    "what a request and a token cost, beside a bare HTTP server in the same run; start-up and memory; what it costs to remember a request; and what a worker costs that joins many others",
  seconds: 150,
  flags: { keep: "write the numbers to benchmarks/results/latest.json" },
  async measure(flags) {
    const results = await measureAll();
    if (flags.has("keep")) keep(results);
    sayStep("the history, and the lines of a request");
    const parts = [...measureHistory(), ...(await measureLines())];
    sayStep("workers that join many others");
    return [...toRows(results), ...parts, ...(await measureJoins())];
  },
});
endServers();
