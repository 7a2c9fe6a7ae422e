/** A frontend and workers of models that count the tokens of prompts, or do not. */
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine, type ServeModelOptions } from "@dyn/runtime/llm";
import { eventually, type Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";

type Hooks = Pick<ServeModelOptions, "countTokens" | "render">;

// A chat template, and a tokenizer that makes a token of every letter.
const render: Hooks["render"] = ({ messages, tools = [] }) =>
  [...messages.map(({ role, text }) => `<${role}>${text}`), ...tools.map((tool) => JSON.stringify(tool))].join("");
export const letters: Hooks = { countTokens: (text) => text.length, render };
export const templated = "<user>abc".length;

const echo: Engine = async function* ({ messages }) {
  const text = messages.at(-1)?.text ?? "";
  if (text === "too long") throw new RuntimeError("invalid_argument", "the prompt is too long");
  yield { text: "one", tokenIds: [1, 2] };
  yield { text: text === "own" ? " two" : "", tokenIds: [3], ...(text === "own" && { usage: { promptTokens: 77 } }) };
};

export interface House extends AsyncDisposable {
  readonly frontend: Frontend;
  readonly lines: Line[];
  /** One more worker. */
  serve(options: ServeModelOptions, engine?: Engine): Promise<Runtime>;
}

export async function openHouse(): Promise<House> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const runtimes: Runtime[] = [];
  const open = async (): Promise<Runtime> => {
    const log = createLogger({ sink: (record) => lines.push(record) });
    const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
    runtimes.push(runtime);
    return runtime;
  };
  const frontend = await createFrontend({ runtime: await open(), httpPort: 0 });
  return {
    frontend,
    lines,
    async serve(served, engine = echo) {
      const runtime = await open();
      await serveModel(runtime, served, engine);
      await eventually("the model being known", async () => {
        const { data } = (await (await fetch(`${frontend.url}/v1/models`)).json()) as { data: { id: string }[] };
        return data.some(({ id }) => id === served.model);
      });
      return runtime;
    },
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await Promise.all(runtimes.map((runtime) => runtime.close()));
    },
  };
}

interface Asked {
  readonly model?: string;
  readonly said?: string;
  readonly [field: string]: unknown;
}

export function post(
  { frontend }: House,
  path: string,
  { said = "abc", ...more }: Asked,
  init: RequestInit = {},
): Promise<Response> {
  const messages = [{ role: "user", content: said }];
  return fetch(`${frontend.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "letters", max_tokens: 10, messages, ...more }),
    ...init,
  });
}

export const countPath = "/v1/messages/count_tokens";

export async function bodyOf(response: Response): Promise<unknown> {
  return { status: response.status, ...((await response.json()) as object) };
}
