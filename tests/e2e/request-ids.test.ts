// Requests with the same id: told apart while they run, in the history, and in the logs.
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import {
  chat,
  eventually,
  postChat,
  release,
  startCluster,
  startProgram,
  type Cluster,
  type Program,
} from "../support/cluster.ts";

const held = { workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } };
const slow = chat("one two three", { stream: true });

async function historyOf({ url }: Pick<Cluster, "url">, id: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/v1/requests/${id}`)).json()) as Record<string, unknown>;
}

test("an id that is running is not given to another request: it gets one of its own, and its warning says why", async () => {
  await using cluster = await startCluster(held);
  const id = randomUUID();
  const first = await postChat(cluster.url, slow, { "request-id": id, "x-request-id": "first" });
  expect(first.headers.get("request-id")).toBe(id);
  const second = await postChat(cluster.url, slow, { "request-id": id, "x-request-id": "second" });
  const other = second.headers.get("request-id") ?? "";
  expect(second.headers.get("x-request-id")).toBe("second");
  expect(other).toMatch(/^[0-9a-f-]{36}$/);
  expect(other).not.toBe(id);
  expect(
    cluster.frontend.lines().filter(({ level, x_request_id }) => level === "WARN" && x_request_id === "second"),
  ).toEqual([
    expect.objectContaining({
      request_id: other,
      message: `request-id header is the id of a request that is still running: ${id}`,
    }),
  ]);
  expect(await historyOf(cluster, id)).toMatchObject({ request_id: id, x_request_id: "first", state: "running" });
  expect(await historyOf(cluster, other)).toMatchObject({
    request_id: other,
    x_request_id: "second",
    state: "running",
  });
  await release(cluster.workers[0]);
  expect(await first.text()).toContain(`"chatcmpl-${id}"`);
  expect(await second.text()).toContain(`"chatcmpl-${other}"`);
  const again = await postChat(cluster.url, chat("once more"), { "request-id": id });
  expect(again.headers.get("request-id")).toBe(id); // it is over: the id is free
});

test("an id whose request was cancelled is free, and with --strict-request-id one that is running is refused", async () => {
  await using cluster = await startCluster({ ...held, frontendArgs: ["--strict-request-id"] });
  const id = randomUUID();
  const aborter = new AbortController();
  const first = await postChat(cluster.url, slow, { "request-id": id, "x-request-id": "first" }, aborter.signal);
  const refused = await postChat(cluster.url, slow, { "request-id": id });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain(`request-id header is the id of a request that is still running: ${id}`);
  aborter.abort();
  await first.text().catch(() => undefined);
  await eventually("the id being free", async () => {
    const response = await postChat(cluster.url, { model: "nobody" }, { "request-id": id });
    await response.text();
    return response.headers.get("request-id") === id;
  });
});

function countEnds(program: Program, id: string): number {
  return program.lines().filter(({ message, request_id }) => message === "request completed" && request_id === id)
    .length;
}

test("the same id and trace at two frontends, at the same time and again, are as many whole lineages", async () => {
  await using cluster = await startCluster({ workerArgs: ["--itl-ms", "5"] });
  await using beside = startProgram("dyn-frontend", ["--http-port", "0"], { DYN_FILE_KV: cluster.directory });
  const listening = await eventually("the other frontend", () =>
    beside.lines().find(({ message }) => message === "frontend is listening"),
  );
  await eventually("its worker", () => beside.lines().some(({ message }) => message === "instance joined"));
  const id = randomUUID();
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const headers = { "request-id": id, "x-request-id": "same", traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
  const ask = async (url: string): Promise<void> => {
    const response = await postChat(url, slow, headers);
    expect([response.status, response.headers.get("request-id"), await response.text()]).toEqual([
      200,
      id,
      expect.stringContaining("[DONE]"),
    ]);
  };
  for (let round = 0; round < 2; round += 1) await Promise.all([ask(cluster.url), ask(String(listening["url"]))]);
  const programs = [cluster.frontend, beside, ...cluster.workers];
  await eventually("all lines", () => programs.map((program) => countEnds(program, id)).join() === "2,2,4");
  const files = programs.map((_, index) => join(cluster.directory, `${index}.jsonl`));
  await Promise.all(programs.map((program, index) => writeFile(files[index] ?? "", program.stderr())));
  for (const wanted of [id, traceId]) {
    const printed: string[] = [];
    const rest = { limit: 10, columns: 100, color: false, input: Readable.from([]), remark: () => undefined };
    const isWhole = await traceRequests({
      id: wanted,
      files,
      json: true,
      print: (text) => void printed.push(text),
      ...rest,
    });
    const trees = printed.join("").trimEnd().split("\n");
    const parsed = trees.flatMap((line) => JSON.parse(line) as RequestTree | RequestTree[]);
    expect(
      parsed.map(({ request_id, state, attempts, problems }) => [request_id, state, attempts.length, problems]),
    ).toEqual(Array.from({ length: 4 }, () => [id, "completed", 1, []]));
    expect(new Set(parsed.flatMap(({ attempts }) => attempts.map(({ span_id }) => span_id))).size).toBe(4);
    expect(isWhole).toBe(true);
  }
});
