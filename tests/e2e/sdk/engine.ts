/** An engine of a test's own behind a frontend in this process, and the official clients pointed at it. */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine } from "@dyn/runtime/llm";
import { createLogger } from "../../support/logger.ts";
import { eventually } from "../../support/cluster.ts";

export interface EngineFixture extends AsyncDisposable {
  readonly url: string;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
}

/** Serve `engine` as `model`; resolves once it is listed. */
export async function openEngine(model: string, maxRetries: number, engine: Engine): Promise<EngineFixture> {
  const log = createLogger({ sink: () => undefined });
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> =>
    createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
  const [worker, caller] = await Promise.all([open(), open()]);
  await serveModel(worker, { model }, engine);
  const frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  const { url } = frontend;
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries });
  await eventually("the model", async () => (await openai.models.list()).data.length === 1);
  return {
    url,
    openai,
    anthropic: new Anthropic({ baseURL: url, apiKey: "unused", maxRetries }),
    async [Symbol.asyncDispose]() {
      await frontend[Symbol.asyncDispose]();
      await Promise.all([worker, caller].map((runtime) => runtime[Symbol.asyncDispose]()));
    },
  };
}
