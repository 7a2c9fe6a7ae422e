// What the logs of real processes say of a request, by the command that reads them: whole where it went well, and what is missing where it did not.
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster } from "../support/cluster.ts";
import { completed, getRequest, hasLine, run, saveLogs, traceHere } from "./traced.ts";

test("50 requests over four processes: each lineage is whole, found in the logs by any of its ids", async () => {
  await using cluster = await startCluster({ workers: 3, workerArgs: ["--itl-ms", "1"] });
  const ids = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const xRequestId = `client-${index}-${randomUUID()}`;
      const response = await postChat(cluster.url, chat("one two three", { stream: index % 2 === 0 }), {
        "x-request-id": xRequestId,
      });
      await response.text();
      expect(response.status).toBe(200);
      return { xRequestId, requestId: String(response.headers.get("request-id")) };
    }),
  );
  for (const { xRequestId } of ids) {
    await completed([cluster.frontend], xRequestId);
    await eventually("the worker's line", () =>
      cluster.workers.some((worker) => hasLine(worker, xRequestId, "request completed")),
    );
  }
  const files = await saveLogs(cluster);
  for (const [index, { xRequestId, requestId }] of ids.entries()) {
    const id = [xRequestId, requestId, `chatcmpl-${requestId}`][index % 3] ?? "";
    // A few by the command: each is a process, and fifty of them are minutes on a machine that has other work.
    const { code, stdout, stderr } = index < 6 ? await run(id, ...files.toReversed()) : await traceHere(id, files);
    expect(`${stderr}${stdout}`).toContain("✓ the lineage is whole");
    expect(stdout).toContain(requestId);
    expect(code).toBe(0);
  }
  const { body } = await getRequest(cluster.url, ids[7]?.requestId ?? "");
  const { stdout } = await run(ids[7]?.requestId ?? "", ...files, "--json");
  const fromLogs = JSON.parse(stdout) as { request: object; attempts: { workers: object[] }[] };
  // The same tree from memory and from the logs, but for what only one of them knows.
  expect(body).toMatchObject({ problems: [], state: "completed", strays: [] });
  const {
    received_at: _received,
    responded_at: _responded,
    ended_at: _ended,
    ...request
  } = body["request"] as Record<string, unknown>;
  expect(fromLogs.request).toMatchObject(request);
  const [attempt] = body["attempts"] as { span_id: string; worker_id: string; workers: Record<string, unknown>[] }[];
  expect(fromLogs.attempts[0]).toMatchObject({ span_id: attempt?.span_id, worker_id: attempt?.worker_id });
  expect(fromLogs.attempts[0]?.workers[0]).toMatchObject(attempt?.workers[0] ?? {});
});

test("a worker killed in the middle of a stream: its completion is unknown, and the exit code says so", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const response = await postChat(cluster.url, chat("word ".repeat(500), { stream: true }), {
    "x-request-id": "killed",
  });
  await response.body?.getReader().read();
  await eventually("the worker's line", () => hasLine(cluster.workers[0], "killed", "request received"));
  cluster.workers[0]?.kill("SIGKILL");
  await completed([cluster.frontend], "killed");
  const files = await saveLogs(cluster);
  const { code, stdout } = await run("killed", ...files);
  expect(code).toBe(1);
  expect(stdout).toMatch(/missing +"request completed" of instance \d+ for attempt 0: it was killed/);
  expect(stdout).toMatch(/worker_disconnected/);
  const without = await run("killed", files[0] ?? "");
  expect(without.code).toBe(1);
  expect(without.stdout).toMatch(
    /missing +attempt 0: 1 log was looked at, and there is no line of instance\s+\d+:\s+its\s+completion\s+is\s+unknown/,
  );
  expect((await getRequest(cluster.url, "killed")).body).toMatchObject({
    request: { status: "error", http_status: 200 },
    attempts: [{ outcome: "worker_disconnected", error_type: "disconnected", sent: true, workers: [] }],
    problems: [],
  });
});

test("a retry at another worker is a whole lineage of two attempts", async () => {
  await using cluster = await startCluster({ workers: 2 });
  cluster.workers[0]?.kill("SIGKILL");
  await cluster.workers[0]?.exited;
  const ids = ["retry-1", "retry-2"];
  for (const id of ids) expect((await postChat(cluster.url, chat("one two"), { "x-request-id": id })).status).toBe(200);
  for (const id of ids) await completed([cluster.frontend, cluster.workers[1]], id);
  const files = await saveLogs(cluster);
  const traced = await Promise.all(ids.map((id) => run(id, ...files)));
  expect(traced.map(({ code }) => code)).toEqual([0, 0]);
  expect(traced.map(({ stdout }) => stdout).join("")).toMatch(
    /attempt 0 at \d+ .* (?:connection_failed {2}never sent|worker_disconnected)\n.*attempt 1 at \d+ .* success/,
  );
});

test("prefill and decode workers: one lineage with two attempts", async () => {
  await using cluster = await startCluster({ workers: 0 });
  for (const mode of ["prefill", "decode"]) await cluster.addWorker("--disaggregation-mode", mode);
  expect((await postChat(cluster.url, chat("one two"), { "x-request-id": "both" })).status).toBe(200);
  await completed([cluster.frontend, ...cluster.workers], "both");
  const { code, stdout } = await run("both", ...(await saveLogs(cluster)));
  expect(stdout).toContain("✓ the lineage is whole (7 lines of 3 logs)");
  expect(code).toBe(0);
  expect((await getRequest(cluster.url, "both")).body).toMatchObject({
    attempts: [{ attempt: 0 }, { attempt: 0 }],
    problems: [],
  });
});
