// Prefill and decode workers as separate processes: one trace, both workers named, and one ending whatever happens.
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "../support/logger.ts";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  startCluster,
  type Cluster,
  type Line,
  type Program,
} from "../support/cluster.ts";
import { linesOf, named } from "./request-lines.ts";

interface Disaggregated extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly prefill: Program;
  readonly decode: Program;
}

async function start(...args: string[]): Promise<Disaggregated> {
  const cluster = await startCluster({ workers: 0 });
  const prefill = await cluster.addWorker("--disaggregation-mode", "prefill", ...args);
  const decode = await cluster.addWorker("--disaggregation-mode", "decode", ...args);
  return { cluster, prefill, decode, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

function completion(program: Program, id: string): Promise<Line> {
  return lineOf(program, "request completed", { x_request_id: id });
}

describe("a prefill and a decode worker", () => {
  let running: Disaggregated;
  beforeAll(async () => (running = await start("--ttft-ms", "20", "--itl-ms", "1")));
  afterAll(() => running[Symbol.asyncDispose]());

  test.each([false, true])("a request goes through both workers in one trace (stream: %s)", async (stream) => {
    const { cluster, prefill, decode } = running;
    const id = `both-${stream}`;
    const response = await postChat(cluster.url, chat("one two three", { stream }), { "x-request-id": id });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain(stream ? '"content":" three"' : "one two three");
    const line = await completion(cluster.frontend, id);
    const first = await completion(prefill, id);
    const second = await completion(decode, id);
    expect(line).toMatchObject({ status: "success", attempts: 2, input_tokens: 3, output_tokens: 3 });
    expect(line["prefill_worker_id"]).toBe(first["instance_id"]);
    expect(line["decode_worker_id"]).toBe(second["instance_id"]);
    expect(line["ttft_ms"]).toBeGreaterThanOrEqual(20);
    expect(first).toMatchObject({
      component: "prefill",
      disagg_role: "prefill",
      trace_id: line["trace_id"],
      request_id: line["request_id"],
    });
    expect(second).toMatchObject({
      component: "backend",
      disagg_role: "decode",
      output_tokens: 3,
      trace_id: line["trace_id"],
      request_id: line["request_id"],
    });
    expect(second["prefill_span_id"]).toBe(first["span_id"]);
    expect([first["parent_id"], second["parent_id"]]).toEqual([
      line["prefill_attempt_span_id"],
      line["attempt_span_id"],
    ]);
    for (const program of [prefill, decode]) expect(named(linesOf(program, id), "request received")).toHaveLength(1);
  });

  test("a request for no tokens at all is prefilled like any other", async () => {
    const response = await postChat(running.cluster.url, { ...chat("one two"), max_tokens: 0 });
    expect(await response.json()).toMatchObject({
      choices: [{ message: { content: "" }, finish_reason: "length" }],
      usage: { prompt_tokens: 2 },
    });
  });

  test("a batch with n each is prefilled once per prompt", async () => {
    const response = await fetch(`${running.cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-request-id": "batch" },
      body: JSON.stringify({ model: "mock", prompt: ["a b", "c"], n: 2 }),
    });
    expect(await response.json()).toMatchObject({
      choices: [{ text: "a b" }, { text: "a b" }, { text: "c" }, { text: "c" }],
      usage: { prompt_tokens: 3, completion_tokens: 6 },
    });
    expect(await completion(running.prefill, "batch")).toMatchObject({ choices: 2, input_tokens: 3 });
    expect(await completion(running.decode, "batch")).toMatchObject({ choices: 4, output_tokens: 6 });
  });
});

test.each(["prefill", "decode"] as const)(
  "a %s worker alone serves nothing, and says what is missing",
  async (mode) => {
    await using cluster = await startCluster({ workers: 0 });
    await cluster.addWorker("--disaggregation-mode", mode);
    const response = await postChat(cluster.url, chat("hi"));
    expect(response.status).toBe(503);
    const missing = mode === "prefill" ? "decode" : "prefill";
    expect(await response.json()).toMatchObject({
      error: { message: `no ${missing} instance serves model "mock" at the moment` },
    });
  },
);

test.each(["prefill", "decode"] as const)(
  "a %s worker that is killed ends the request once, as an error",
  async (mode) => {
    await using running = await start(...(mode === "prefill" ? ["--ttft-ms", "600000"] : ["--itl-ms", "600000"]));
    const { cluster } = running;
    const answer = postChat(cluster.url, chat("one two", { stream: true }), { "x-request-id": "killed" });
    await lineOf(running[mode], "request received", { x_request_id: "killed" });
    if (mode === "decode") await lineOf(cluster.frontend, "http response sent", { x_request_id: "killed" });
    running[mode].kill("SIGKILL");
    const response = await answer;
    expect(response.status).toBe(mode === "prefill" ? 503 : 200);
    expect(await response.text()).toContain("worker_disconnected");
    const line = await completion(cluster.frontend, "killed");
    expect(line).toMatchObject({ level: "ERROR", status: "error", error_type: "unavailable" });
    expect(named(linesOf(cluster.frontend, "killed"), "request completed")).toHaveLength(1);
    if (mode === "decode") expect(named(linesOf(running.prefill, "killed"), "request completed")).toHaveLength(1);
  },
);

test("a prefill worker that is killed is replaced by another that lives", async () => {
  await using running = await start("--ttft-ms", "600000");
  const { cluster, prefill } = running;
  const answer = postChat(cluster.url, chat("one two"), { "x-request-id": "retried" });
  await lineOf(prefill, "request received", { x_request_id: "retried" });
  const other = await cluster.addWorker("--disaggregation-mode", "prefill");
  prefill.kill("SIGKILL");
  expect((await answer).status).toBe(200);
  const line = await completion(cluster.frontend, "retried");
  expect(line).toMatchObject({
    status: "success",
    attempts: 3,
    prefill_worker_id: (await completion(other, "retried"))["instance_id"],
  });
});

test.each([1, 2])(
  "a prefill worker that is lost with its results gives way to one more, and no further (lost: %i)",
  async (lost) => {
    const lines: Record<string, unknown>[] = [];
    const options = { config: { discoveryBackend: "mem", log: "off" }, memorySpace: createMemorySpace() } as const;
    await using caller = await createRuntime({
      ...options,
      log: createLogger({ sink: (record) => lines.push(record) }).pino,
    });
    await using prefill = await createRuntime(options);
    await using other = await createRuntime(options);
    await using decode = await createRuntime(options);
    let asked = 0;
    for (const runtime of [prefill, other])
      await serveModel(runtime, { model: "mock", role: "prefill" }, async function* (_request, context) {
        asked += 1;
        yield { text: "", prefillResult: asked };
        if (asked > lost) return;
        await new Promise(setImmediate); // until that has left
        partsOf(context).connection.cut();
      });
    await serveModel(decode, { model: "mock", role: "decode" }, async function* ({ prefillResult }) {
      yield { text: `after ${String(prefillResult)}` };
    });
    await using frontend = await createFrontend({ runtime: caller, httpPort: 0 });
    await eventually("all workers", () => lines.filter(({ message }) => message === "instance joined").length === 3);
    const response = await postChat(frontend.url, chat("one two"));
    const answer = JSON.stringify(await response.json());
    expect(asked).toBe(2);
    if (lost === 1) expect(answer).toContain('"content":"after 2"');
    else expect([response.status, answer]).toEqual([400, expect.stringContaining("poisoned_request")]);
  },
);
