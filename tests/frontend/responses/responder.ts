/** A frontend, an engine that says what a test wants, and a mock. */
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime, type RuntimeError } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel, type Delta, type Engine, type ModelRequest } from "@dyn/runtime/llm";
import { schema } from "../weather.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;

export const weather = {
  type: "function",
  name: "weather",
  description: "of today",
  parameters: schema,
  strict: true,
} as const;

/** Models `caller`, `lost` (whose first worker is lost), `talker` (which can only talk) and `mock`. */
export interface Responder extends AsyncDisposable {
  readonly url: string;
  readonly openai: OpenAI;
  /** What engines were asked. */
  asked: ModelRequest[];
  /** What they say. */
  yields: (request: ModelRequest, attempt: number) => readonly Delta[];
  /** How they fail after that. */
  failure: RuntimeError | undefined;
  reset(): void;
}

export async function startResponder(options: Parameters<typeof createFrontend>[0] = {}): Promise<Responder> {
  const memorySpace = createMemorySpace();
  const runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [first, second, third] = runtimes as [Runtime, Runtime, Runtime];
  const engine: Engine = async function* (request, context) {
    responder.asked.push(request);
    for (const delta of responder.yields(request, context.attempt)) {
      yield delta;
      await new Promise((resolve) => setImmediate(resolve)); // each leaves by itself
    }
    if (responder.failure) throw responder.failure;
    if (request.model === "lost" && context.attempt === 0) partsOf(context).connection.cut();
  };
  const capabilities = ["tools", "schemas", "reasoning"] as const;
  await serveModel(first, { model: "caller", capabilities }, engine);
  for (const runtime of [first, second]) {
    const endpoint = "dyn://dynamo.lost.generate";
    await serveModel(runtime, { model: "lost", endpoint, migrationLimit: 3, capabilities }, engine);
  }
  await serveModel(first, { model: "talker", endpoint: "dyn://dynamo.talker.generate" }, engine);
  const mock = await startMockWorker({ config, memorySpace, modelName: "mock", component: "mock" });
  const frontend = await createFrontend({ runtime: third, httpPort: 0, ...options });
  const yieldsHello: Responder["yields"] = () => [{ text: "hello" }, { text: " world" }];
  const responder: Responder = {
    url: frontend.url,
    openai: new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 }),
    asked: [],
    yields: yieldsHello,
    failure: undefined,
    reset() {
      [responder.asked, responder.yields, responder.failure] = [[], yieldsHello, undefined];
    },
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await mock.close();
      await Promise.all(runtimes.map((runtime) => runtime.close()));
    },
  };
  return responder;
}
