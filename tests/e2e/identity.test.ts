// One identity per request, followed through four processes by their log lines alone.
import { randomBytes, randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, type Line, type Program } from "../support/cluster.ts";

const total = 1_000;
const concurrency = 64;

interface Sent {
  readonly clientId: string;
  readonly stream: boolean;
  readonly traceId: string | undefined;
  readonly parentId: string | undefined;
}

function plan(index: number): Sent {
  const traced = index % 4 < 2;
  return {
    clientId: `client-${index}-${randomUUID()}`,
    stream: index % 2 === 0,
    traceId: traced ? randomBytes(16).toString("hex") : undefined,
    parentId: traced ? randomBytes(8).toString("hex") : undefined,
  };
}

async function send(url: string, { clientId, stream, traceId, parentId }: Sent): Promise<void> {
  const headers = {
    "x-request-id": clientId,
    ...(traceId !== undefined && { traceparent: `00-${traceId}-${parentId}-01` }),
  };
  const response = await postChat(url, chat("one two three", { stream }), headers);
  const text = await response.text();
  expect(response.status).toBe(200);
  expect(response.headers.get("x-request-id")).toBe(clientId);
  expect(text).toContain(`"chatcmpl-${response.headers.get("request-id")}"`);
  if (stream) expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
}

async function sendAll(url: string, requests: readonly Sent[]): Promise<void> {
  const queue = [...requests];
  const lane = async (): Promise<void> => {
    for (let next = queue.pop(); next; next = queue.pop()) await send(url, next);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

function byClient(lines: readonly Line[]): Map<string, Line[]> {
  return Map.groupBy(lines, (line) => String(line["x_request_id"]));
}

function completedCount(program: Program): number {
  return program.lines().filter(({ message }) => message === "request completed").length;
}

function only(lines: readonly Line[] | undefined, message: string): Line {
  const found = (lines ?? []).filter((line) => line["message"] === message);
  expect(found).toHaveLength(1);
  return found[0] ?? {};
}

test("1000 requests over three workers keep one identity each, seen from the logs alone", async () => {
  await using cluster = await startCluster({ workers: 3 });
  const requests = Array.from({ length: total }, (_, index) => plan(index));
  await sendAll(cluster.url, requests);
  await eventually("all lines being written", () => {
    const done = [cluster.frontend, ...cluster.workers].map(completedCount);
    return done[0] === total && done.reduce((sum, count) => sum + count, 0) === 2 * total;
  });
  const frontend = byClient(cluster.frontend.lines());
  const workers = cluster.workers.map((worker) => byClient(worker.lines()));
  for (const { clientId, stream, traceId, parentId } of requests) {
    const ours = frontend.get(clientId);
    const received = only(ours, "request received");
    const completed = only(ours, "request completed");
    const owners = workers.filter((worker) => worker.has(clientId));
    expect(owners).toHaveLength(1);
    const theirs = owners[0]?.get(clientId);
    const workerReceived = only(theirs, "request received");
    const workerCompleted = only(theirs, "request completed");
    const all = [received, completed, workerReceived, workerCompleted];
    expect(new Set(all.map((line) => line["request_id"])).size).toBe(1);
    expect(new Set(all.map((line) => line["trace_id"])).size).toBe(1);
    if (traceId !== undefined) expect(received).toMatchObject({ trace_id: traceId, parent_id: parentId });
    expect(workerReceived["parent_id"]).toBe(completed["attempt_span_id"]);
    expect(workerReceived["instance_id"]).toBe(completed["worker_id"]);
    expect(completed).toMatchObject({
      status: "success",
      request_type: stream ? "stream" : "unary",
      input_tokens: 3,
      output_tokens: 3,
    });
    expect(workerCompleted).toMatchObject({ status: "success", input_tokens: 3, output_tokens: 3 });
    for (const name of ["elapsed_ms", "ttft_ms", "avg_itl_ms"]) expect(completed[name]).toBeTypeOf("number");
  }
  const counts = cluster.workers.map(completedCount);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  const metrics = await (await fetch(`${cluster.url}/metrics`)).text();
  expect(metrics).toMatch(/^dynamo_request_plane_lineage_mismatch_total 0$/m);
});
