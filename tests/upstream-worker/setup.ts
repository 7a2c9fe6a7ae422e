/** A frontend, workers of a scripted upstream, and a client: anew for each test of a file. */
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { startUpstreamWorker, type UpstreamOptions, type UpstreamWorker } from "@dyn/upstream-worker";
import { afterEach, beforeEach } from "vitest";
import { eventually } from "../support/cluster.ts";
import { startScriptedServer, type ScriptedServer } from "./scripted-server.ts";

export const usage = {
  prompt_tokens: 7,
  completion_tokens: 3,
  total_tokens: 10,
  prompt_tokens_details: { cached_tokens: 5 },
};
export const hello: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "hello" }];

export interface Setup {
  readonly url: string;
  readonly openai: OpenAI;
  /** A test may put another in its place. */
  server: ScriptedServer;
  /** Resolves after its first look at `server`. */
  startWorker(options?: Partial<UpstreamOptions>): Promise<UpstreamWorker>;
  whenListed(...models: readonly string[]): Promise<unknown>;
  /** A chat with the model `up`. */
  ask(more?: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>): Promise<OpenAI.ChatCompletion>;
  close(): Promise<void>;
}

const config = { discoveryBackend: "mem", log: "off" } as const;

async function open(): Promise<Setup> {
  const memorySpace = createMemorySpace();
  const runtime = await createRuntime({ config, memorySpace });
  const frontend = await createFrontend({ runtime, httpPort: 0, responseHeaders: ["x-ratelimit-*"] });
  const openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const workers: UpstreamWorker[] = [];
  const setup: Setup = {
    url: frontend.url,
    openai,
    server: await startScriptedServer(),
    async startWorker(options = {}) {
      const { url } = setup.server;
      const worker = await startUpstreamWorker({ url, config, memorySpace, healthIntervalMs: 20, ...options });
      workers.push(worker);
      return worker;
    },
    whenListed: (...models) =>
      eventually(`models ${models.join(", ")}`, async () => {
        const { data } = await openai.models.list();
        const listed = data.map(({ id }) => id).toSorted();
        return listed.join() === models.toSorted().join();
      }),
    ask: (more) => openai.chat.completions.create({ model: "up", messages: hello, ...more }),
    async close() {
      await setup.server[Symbol.asyncDispose](); // requests that hang end here
      await Promise.all(workers.map((worker) => worker.close()));
      await frontend.close();
      await runtime.close();
    },
  };
  return setup;
}

/** @returns what gives that of the test that runs. */
export function useSetup(): () => Setup {
  let setup: Setup | undefined;
  beforeEach(async () => {
    setup = await open();
  });
  afterEach(() => setup?.close());
  return () => {
    if (!setup) throw new Error("only within a test");
    return setup;
  };
}
