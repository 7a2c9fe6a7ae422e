// What an answer may take of a frontend: a worker that never ends one, and a client that asks for its own words many times over. The heap is small.
import { expect, test } from "vitest";
import { createRuntime, type RequestContext } from "@dyn/runtime";
import type { ModelCard } from "@dyn/runtime/internal";
import { createLogger } from "../support/logger.ts";
import { eventually, lineOf, postChat, startCluster } from "../support/cluster.ts";
import { peakMib } from "../support/memory.ts";

const small = { NODE_OPTIONS: "--max-old-space-size=96" };
const card_json: ModelCard = {
  display_name: "endless",
  slug: "endless",
  model_type: "Chat",
  model_input: "Text",
  kv_cache_block_size: 16,
  migration_limit: 0,
};

/** A worker without the limits that serveModel has: it sends the same delta until it is cancelled. */
async function serveEndless(
  fileKv: string,
  delta: unknown,
  most: number,
): Promise<AsyncDisposable & { readonly cancelled: Promise<void> }> {
  const runtime = await createRuntime({
    config: { discoveryBackend: "file", fileKv },
    environment: {},
    log: createLogger({ sink: () => undefined }).pino,
  });
  const cancelled = Promise.withResolvers<void>();
  await runtime.endpoint("dyn://test.endless.generate").serve(async function* (
    _request: unknown,
    { signal }: RequestContext,
  ) {
    signal.addEventListener("abort", () => cancelled.resolve());
    for (let sent = 0; sent < most && !signal.aborted; sent += 1) yield delta;
    if (!signal.aborted) throw new Error("nobody has ended this answer");
  });
  const [namespace, component, endpoint] = ["test", "endless", "generate"];
  await runtime.discovery.publish({
    type: "Model",
    namespace,
    component,
    endpoint,
    instance_id: BigInt(runtime.instanceId),
    card_json,
  });
  return { cancelled: cancelled.promise, [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose]() };
}

test.each([
  [
    "many small texts",
    { text: "word " },
    20_000_000,
    {},
    "the worker's answer is larger than 1048576 bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB",
  ],
  [
    "few large texts",
    { text: "\u{1f600}".repeat(16_384) },
    20_000,
    {},
    "the worker's answer is larger than 1048576 bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB",
  ],
  [
    "more tokens than asked for",
    { text: "word " },
    20_000_000,
    { max_tokens: 10 },
    "the worker sent 267 tokens for choice 0, max_tokens is 10",
  ],
])("a worker that never ends its answer: %s", async (_name, delta, most, asked, problem) => {
  await using cluster = await startCluster({ workers: 0, env: { ...small, DYN_HTTP_ANSWER_LIMIT_MB: "1" } });
  await using worker = await serveEndless(cluster.directory, delta, most);
  const body = { model: "endless", messages: [{ role: "user", content: "hi" }], ...asked };
  const answer = await eventually("the model", async () => {
    const tried = await postChat(cluster.url, body);
    return tried.status !== 404 && tried;
  });
  expect([answer.status, await answer.json()]).toEqual([
    500,
    { error: { message: "Internal server error", type: "server_error", param: null, code: "protocol_error" } },
  ]);
  await worker.cancelled;
  const failed = await lineOf(cluster.frontend, "request failed");
  expect(JSON.stringify(failed)).toContain(problem);
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
});

const echo = { model: "mock", echo: true, max_tokens: 1 };

function complete(url: string, body: unknown): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

test("a prompt is not repeated without end: echo for many choices", async () => {
  await using cluster = await startCluster({ env: small });
  const prompt = `hi ${"y".repeat(3 * 1024 * 1024 - 3)}`;
  for (const stream of [false, true]) {
    const refused = await complete(cluster.url, { ...echo, prompt, n: 128, stream });
    const message =
      "echo is too large: the prompts before 128 choices are 402653184 bytes, the limit is 16777216, set by DYN_HTTP_ANSWER_LIMIT_MB";
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { error: { message, param: "echo", code: "invalid_value" } },
    ]);
    const taken = await complete(cluster.url, { ...echo, prompt, n: 5, stream });
    expect([taken.status, (await taken.text()).split(prompt)]).toEqual([200, expect.objectContaining({ length: 6 })]);
  }
  expect(peakMib(cluster.frontend.pid) ?? 0).toBeLessThan(400);
});
