// The tracing contract from the outside: separate processes, their JSONL, nothing else. The cases are those of Dynamo's
// tests/frontend/test_request_tracing_logs.py and what that leaves out.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  startProgram,
  type Cluster,
  type Program,
} from "../support/cluster.ts";
import { lifecycle, linesOf, named, ofWorker, send } from "./request-lines.ts";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("aggregated", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ workerArgs: ["--itl-ms", "1"] });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("a unary success", async () => {
    const [id, response] = await send(cluster, { max_tokens: 5 });
    expect(response.status).toBe(200);
    const { received, completed, sent } = await lifecycle(cluster.frontend, id, "success");
    expect(received).toMatchObject({
      level: "INFO",
      x_request_id: id,
      model: "mock",
      endpoint: "chat_completions",
      request_type: "unary",
    });
    expect(completed).toMatchObject({ level: "INFO", span_name: "http-request", input_tokens: 7, output_tokens: 5 });
    expect(sent).toMatchObject({ level: "INFO", status: 200 });
    const worker = await ofWorker(cluster.workers[0], id);
    expect(worker.received).toMatchObject({ x_request_id: id, request_id: received["request_id"] });
    expect(((await response.json()) as { id: string }).id).toBe(`chatcmpl-${String(received["request_id"])}`);
  });

  test("a streamed success: the access line at the headers, one more at the end of the body with its bytes", async () => {
    await using held = await startCluster({ workerArgs: ["--fault", "hang@3"], env: { DYN_SYSTEM_PORT: "0" } });
    const [id, response] = await send(held, { stream: true });
    await release(held.workers[0]); // so that its tokens do not come all at once
    const text = await response.text();
    const { received, completed, sent } = await lifecycle(held.frontend, id, "success");
    expect(received["request_type"]).toBe("stream");
    expect(sent["status"]).toBe(200);
    for (const name of ["ttft_ms", "avg_itl_ms"]) expect(completed[name]).toBeGreaterThan(0);
    expect(completed["output_tokens"]).toBe(7);
    const order = linesOf(held.frontend, id).map(({ message }) => message);
    expect(order).toEqual(["request received", "http response sent", "http response finished", "request completed"]);
    expect(named(linesOf(held.frontend, id), "http response finished")[0]).toMatchObject({
      bytes: Buffer.byteLength(text),
      outcome: "success",
    });
  });

  test("an unknown model", async () => {
    const [id, response] = await send(cluster, { model: "nonexistent-model" });
    expect(response.status).toBe(404);
    const { completed, sent } = await lifecycle(cluster.frontend, id, "error");
    expect(completed).toMatchObject({
      level: "ERROR",
      error_type: "not_found",
      error_detail: "model or resource not found",
    });
    expect(completed).toMatchObject({ model: "unknown_model", model_requested: "nonexistent-model" });
    expect(sent).toMatchObject({ level: "ERROR", status: 404 });
  });

  test.each(["request-id", "x-dynamo-request-id"])(
    "a %s that is no UUID is replaced with a warning",
    async (header) => {
      const [id, response] = await send(cluster, {}, { [header]: "NOT-A-VALID-UUID" });
      expect(response.status).toBe(200);
      const { received } = await lifecycle(cluster.frontend, id, "success");
      const warnings = linesOf(cluster.frontend, id)
        .filter(({ level }) => level === "WARN")
        .map(({ message }) => message);
      const deprecated =
        "x-dynamo-request-id header is deprecated (DEP #7812); server-generated request IDs should be used instead";
      const invalid = `${header} header must be a valid UUID, got: NOT-A-VALID-UUID`;
      expect(warnings).toEqual(header === "request-id" ? [invalid] : [deprecated, invalid]);
      expect(received["request_id"]).toMatch(uuid);
      expect(response.headers.get("request-id")).toBe(received["request_id"]);
    },
  );

  test("ids and trace are the same everywhere", async () => {
    const requestId = randomUUID();
    const [id] = await send(
      cluster,
      { stream: true },
      { "request-id": requestId, tracestate: "vendor=1", traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-03` },
    );
    await lifecycle(cluster.frontend, id, "success");
    const { received, completed } = await ofWorker(cluster.workers[0], id);
    for (const line of [...linesOf(cluster.frontend, id), received, completed]) {
      expect(line).toMatchObject({
        request_id: requestId,
        trace_id: "ab".repeat(16),
        trace_flags: "03",
        tracestate: "vendor=1",
      });
    }
  });

  test("a client that leaves after the last byte has had a success", async () => {
    const [id, response] = await send(cluster, { stream: true });
    await response.text();
    await lifecycle(cluster.frontend, id, "success");
  });

  test("a handler that throws has its text in the worker's log alone", async () => {
    await using broken = await startCluster({ workerArgs: ["--fault", "error:internal@1", "--itl-ms", "1"] });
    const id = randomUUID();
    const response = await postChat(broken.url, chat("one two"), { "x-request-id": id });
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({
      error: { message: "Internal server error", code: "internal_error" },
    });
    await lifecycle(broken.frontend, id, "error");
    const { completed } = await ofWorker(broken.workers[0], id);
    expect(completed).toMatchObject({
      level: "ERROR",
      status: "error",
      error_type: "internal",
      error: "fault injected: internal",
    });
  });
});

describe("at a worker that is held after two tokens", () => {
  let cluster: Cluster;
  let silent: Program;
  beforeAll(async () => {
    cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
    silent = await cluster.addWorker("--model-name", "silent", "--component", "silent", "--ttft-ms", "600000");
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each([
    ["before the first token", true, false],
    ["during the stream", true, true],
    ["during a unary answer", false, false],
  ])("a client that leaves %s", async (when, isStream, hasBegun) => {
    const model = when === "before the first token" ? "silent" : "mock";
    const worker = model === "silent" ? silent : cluster.workers[0];
    const id = randomUUID();
    const aborter = new AbortController();
    const body = chat("w ".repeat(2_000).trim(), { model, stream: isStream });
    const answer = postChat(cluster.url, body, { "x-request-id": id }, aborter.signal);
    if (hasBegun) await (await answer).body?.getReader().read();
    await lineOf(worker, "request received", { x_request_id: id });
    aborter.abort();
    await answer.catch(() => undefined);
    const completed = await lineOf(cluster.frontend, "request completed", { x_request_id: id });
    expect(completed).toMatchObject({
      level: "INFO",
      status: "cancelled",
      error_type: "cancelled",
      error_detail: "cancelled before completion",
      input_tokens: 2_000,
    });
    const ofOther = await ofWorker(worker, id);
    expect(ofOther.completed).toMatchObject({ level: "INFO", status: "cancelled", input_tokens: 2_000 });
    expect(named(linesOf(cluster.frontend, id), "request completed")).toHaveLength(1);
    expect(named(linesOf(cluster.frontend, id), "http response sent")).toHaveLength(hasBegun ? 1 : 0);
    if (hasBegun) {
      expect(named(linesOf(cluster.frontend, id), "http response finished")[0]).toMatchObject({ outcome: "cancelled" });
      expect(completed["output_tokens"]).toBeGreaterThan(0);
    }
  });

  test("a client whose worker is killed in mid-stream", async () => {
    const id = randomUUID();
    const response = await postChat(cluster.url, chat("w ".repeat(2_000), { stream: true }), { "x-request-id": id });
    cluster.workers[0]?.kill("SIGKILL");
    expect(await response.text()).toContain('"type":"server_error","param":null,"code":"worker_disconnected"');
    const { completed } = await lifecycle(cluster.frontend, id, "error");
    expect(completed).toMatchObject({
      level: "ERROR",
      error_type: "unavailable",
      error_detail: "no backend worker available",
    });
  });
});

test("readable lines carry the same ids on both sides", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const variables = { DYN_FILE_KV: cluster.directory, DYN_LOGGING_JSONL: "0" };
  await using frontend = startProgram("dyn-frontend", ["--http-port", "0"], variables);
  await using worker = startProgram("dyn-mock-worker", [], variables);
  const url = await eventually("the address", () => / url=(\S+)/.exec(frontend.stderr())?.[1]);
  const response = await eventually("an answer", async () => {
    const tried = await postChat(url, chat("hi"), { "x-request-id": "readable" });
    return tried.ok && tried;
  });
  const id = String(response.headers.get("request-id"));
  for (const program of [frontend, worker]) {
    const lines = await eventually("its lines", () => {
      const found = program
        .stderr()
        .split("\n")
        .filter((line) => line.includes(` request_id=${id}`));
      return found.some((line) => line.includes("request completed")) && found;
    });
    for (const line of lines) expect(line).toContain(" x_request_id=readable");
    expect(new Set(lines.map((line) => / trace_id=(\w+)/.exec(line)?.[1])).size).toBe(1);
  }
});

describe("disaggregated", () => {
  test("a batch, a crash of either worker and a retry are in disaggregation.test.ts; the tree is one trace", async () => {
    await using cluster = await startCluster({ workers: 0 });
    const prefill = await cluster.addWorker("--disaggregation-mode", "prefill");
    const decode = await cluster.addWorker("--disaggregation-mode", "decode");
    const [id, response] = await send(cluster, { stream: true });
    await response.text();
    const { completed } = await lifecycle(cluster.frontend, id, "success");
    const [first, second] = [await ofWorker(prefill, id), await ofWorker(decode, id)];
    expect(
      new Set(
        [completed, first.received, first.completed, second.received, second.completed].map((line) => line["trace_id"]),
      ).size,
    ).toBe(1);
    expect(completed["output_tokens"]).toBeGreaterThan(0);
    expect(completed["ttft_ms"]).toBeGreaterThan(0);
  });
});
