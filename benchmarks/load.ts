/** A bounded load over kept-alive sockets, and the CPU time it costs the server. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const ticksPerSecond = 100; // USER_HZ, fixed on Linux

/** User and system time of a process so far, s. Source: proc(5), fields 14 and 15 of /proc/PID/stat. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export interface LoadOptions {
  readonly port: number;
  readonly body: string;
  readonly concurrency: number;
  readonly count: number;
}

export interface LoadResult {
  readonly seconds: number;
  /** Of the answers, in bytes. */
  readonly bytes: number;
  /** Each answer's time, ms, sorted. */
  readonly timesMs: readonly number[];
}

function post(agent: Agent, port: number, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request(
      { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers },
      (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => (bytes += chunk.length));
        response.on("end", () =>
          response.statusCode === 200 ? resolve(bytes) : reject(new Error(`status ${response.statusCode}`)),
        );
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Send `count` requests, `concurrency` at a time. Rejects if one of them fails. */
export async function runLoad({ port, body, concurrency, count }: LoadOptions): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const timesMs: number[] = [];
  let left = count;
  let bytes = 0;
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const sentAt = performance.now();
      bytes += await post(agent, port, body);
      timesMs.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  agent.destroy();
  return { seconds, bytes, timesMs: timesMs.toSorted((left, right) => left - right) };
}

export function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
