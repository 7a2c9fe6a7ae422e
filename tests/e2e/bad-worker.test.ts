// Workers that answer what no delta is: a typed error for the client, and the pair of lines all the same.
import { expect, test } from "vitest";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import type { ModelCard } from "@dyn/runtime/internal";
import { createLogger } from "../support/logger.ts";
import { chat, eventually, postChat } from "../support/cluster.ts";

const end = { text: "", finishReason: "stop", usage: { promptTokens: 1, completionTokens: 1 } } as const;

const card_json: ModelCard = {
  display_name: "mock",
  slug: "mock",
  model_type: "Chat",
  model_input: "Text",
  kv_cache_block_size: 16,
  migration_limit: 0,
};

test.each<[string, unknown[]]>([
  ["usage that is no number", [{ ...end, usage: { promptTokens: Number.NaN, completionTokens: 1 } }]],
  ["usage without its fields", [{ ...end, usage: {} }]],
  ["a finish reason of its own", [{ ...end, finishReason: 'st"op' }]],
  ["a text that is none", [{ text: 7 }, end]],
  ["a choice nobody asked for", [{ text: "x", choice: 3 }, end]],
  ["nothing at all", []],
  [
    "more than it was asked for, after its end",
    [
      { ...end, text: "a" },
      { text: "b", choice: 7 },
    ],
  ],
  ["no finish reason", [{ text: "x", usage: end.usage }]],
])("%s", async (_name, deltas) => {
  const records: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => records.push(record) });
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> =>
    createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
  await using worker = await open();
  await using caller = await open();
  await worker.endpoint("dyn://test.bad.generate").serve(async function* () {
    yield* deltas;
  });
  await worker.discovery.publish({
    type: "Model",
    namespace: "test",
    component: "bad",
    endpoint: "generate",
    instance_id: BigInt(worker.instanceId),
    card_json,
  });
  await using frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  for (const stream of [false, true]) {
    const response = await eventually("the model", async () => {
      const tried = await postChat(frontend.url, chat("x", { stream }));
      return tried.status !== 404 && tried;
    });
    const text = await response.text();
    expect(text).toContain('"code":"protocol_error"');
    expect(text).not.toContain("[DONE]");
  }
  const ours = records.filter(({ target, model }) => target === "dyn_frontend::request_log" && model === "mock");
  expect(ours.map(({ message }) => message)).toEqual(expect.arrayContaining(["request received", "request completed"]));
  expect(ours.filter(({ message }) => message === "request received")).toHaveLength(2);
  const completed = ours.filter(({ message }) => message === "request completed");
  expect(completed).toHaveLength(2);
  for (const line of completed) expect(line).toMatchObject({ level: "ERROR", status: "error", error_type: "internal" });
});
