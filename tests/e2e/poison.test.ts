// A request that takes workers down takes two at most, whoever sends it: no client library asks again what has been refused as poisoned.
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "../support/logger.ts";
import { chat, eventually, postChat, startCluster, type Line } from "../support/cluster.ts";
import { failureOf, type SdkClient } from "./sdk/client.ts";
import { createLangChainClients } from "./sdk/langchain.ts";
import { createAnthropicClient, createOpenAiClient } from "./sdk/official.ts";
import { createVercelClients } from "./sdk/vercel.ts";

const names = [
  "openai",
  "@anthropic-ai/sdk",
  "ai, openai.chat",
  "ai, openai-compatible",
  "ai, anthropic",
  "ChatOpenAI",
  "ChatAnthropic",
] as const;

describe("the client library", () => {
  const lines: Line[] = [];
  const workers: Runtime[] = [];
  let caller: Runtime;
  let frontend: Frontend;
  let taken = 0;
  let clients: readonly SdkClient[];

  beforeAll(async () => {
    const memorySpace = createMemorySpace();
    const config = { discoveryBackend: "mem" } as const;
    const log = createLogger({ sink: () => undefined });
    for (let index = 0; index < 4; index += 1) {
      const worker = await createRuntime({ config, memorySpace, log: log.pino });
      workers.push(worker);
      await serveModel(worker, { model: "mock" }, async function* ({ messages }, context) {
        if (messages.at(-1)?.text === "poison") {
          taken += 1;
          partsOf(context).connection.cut();
        } else yield { text: "well" };
      });
    }
    caller = await createRuntime({
      config,
      memorySpace,
      log: createLogger({ sink: (record) => lines.push(record) }).pino,
    });
    frontend = await createFrontend({ runtime: caller, httpPort: 0 });
    await eventually(
      "all workers",
      () => lines.filter(({ message }) => message === "instance joined").length === workers.length,
    );
    const { url } = frontend;
    clients = [
      createOpenAiClient(url),
      createAnthropicClient(url),
      ...createVercelClients(url),
      ...createLangChainClients(url),
    ];
  });

  afterAll(async () => {
    for (const each of [frontend, caller, ...workers]) await each[Symbol.asyncDispose]();
  });

  // Each worker has a connection that has answered: losing it costs the next request no wait.
  async function heal(): Promise<void> {
    for (const { instanceId } of workers) {
      const response = await postChat(frontend.url, chat("hello"), { "x-worker-instance-id": instanceId });
      expect(response.status).toBe(200);
      await response.text();
    }
  }

  test.each(names)("%s asks once, and two workers were taken", async (name) => {
    const client = clients.find((each) => each.name === name);
    for (const kind of ["complete", "stream"] as const) {
      await heal();
      const before = taken;
      const tag = `${name} ${kind}`.replaceAll(" ", "-");
      const work =
        client?.[kind]({ prompt: "poison", tag, maxRetries: 6 }) ?? Promise.reject(new Error("no such client"));
      const failure = await failureOf(client?.toFailure ?? (() => expect.unreachable()), work);
      expect(failure).toMatchObject({ name: client?.classes[400], status: 400, type: "invalid_request_error" });
      expect(failure.message).toMatch(/request [0-9a-f-]{36} is refused: 2 workers were lost while they ran it/);
      if (client?.api === "openai") expect(failure.code).toBe("poisoned_request");
      const completed = await eventually("its last line", () =>
        lines.find(({ message, x_request_id }) => message === "request completed" && x_request_id === tag),
      );
      expect(completed).toMatchObject({ level: "ERROR", status: "error", error_type: "internal", attempts: 2 });
      expect(
        lines.filter(({ message, x_request_id }) => message === "request received" && x_request_id === tag),
      ).toHaveLength(1);
      expect(taken - before).toBe(2);
    }
  });
});

test("of three workers that it would crash, a request takes two; what the frontend says of it names it and them", async () => {
  await using cluster = await startCluster({ workers: 3, workerArgs: ["--fault", "crash"] });
  const response = await postChat(cluster.url, chat("a b c"), { "x-request-id": "killer" });
  expect(response.status).toBe(400);
  expect(response.headers.get("retry-after")).toBeNull();
  const requestId = response.headers.get("request-id") ?? "";
  expect(await response.json()).toEqual({
    error: {
      message: `request ${requestId} is refused: 2 workers were lost while they ran it`,
      type: "invalid_request_error",
      param: null,
      code: "poisoned_request",
    },
  });
  const isGone = ({ child }: { child: { exitCode: number | null; signalCode: string | null } }): boolean =>
    child.exitCode !== null || child.signalCode !== null;
  await eventually("the end of two", () => cluster.workers.filter(isGone).length === 2);
  expect(cluster.workers.filter((worker) => !isGone(worker))).toHaveLength(1);
  const line = await eventually("the line", () =>
    cluster.frontend
      .lines()
      .find(({ message }) => message === "request refused, its workers were lost while they ran it"),
  );
  expect(line).toMatchObject({
    level: "WARN",
    target: "dyn_runtime::egress",
    request_id: requestId,
    x_request_id: "killer",
    attempts: 2,
  });
  expect(String(line["lost_workers"])).toMatch(/^\d+,\d+$/);
  expect(cluster.frontend.lines().filter(({ message }) => message === "request failed")).toEqual([]); // the client has read all there is
  const metrics = await (await fetch(`${cluster.url}/metrics`)).text();
  expect(metrics).toContain("dynamo_request_plane_poisoned_requests_total 1\n");
});
