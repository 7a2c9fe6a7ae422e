/** A frontend with an engine that says how likely its tokens are, one that does not, and a mock; and what clients of them get. */
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine, type ModelRequest } from "@dyn/runtime/llm";
import OpenAI from "openai";
import { expect } from "vitest";

const config = { discoveryBackend: "mem", log: "off" } as const;

export interface Likely extends AsyncDisposable {
  readonly url: string;
  readonly client: OpenAI;
  /** What the models `able`, of two workers, and `unable` run. */
  engine: Engine;
  /** What it was asked for last. */
  seen: ModelRequest["logprobs"];
  post(path: string, body: object): Promise<[number, Record<string, unknown>]>;
  /** Choices of a plain completion. */
  complete(body: object): Promise<TextChoice[]>;
  /** The same of a stream, put together. */
  stream(body: object): Promise<TextChoice[]>;
}

export interface TextLogprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}

export interface TextChoice {
  text: string;
  finish_reason: string | null;
  logprobs: TextLogprobs | null;
}

export async function startLikely(): Promise<Likely> {
  const memorySpace = createMemorySpace();
  const runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [worker, other, runtime] = runtimes as [Runtime, Runtime, Runtime];
  const run: Engine = (request, context) => {
    likelyFrontend.seen = request.logprobs;
    return likelyFrontend.engine(request, context);
  };
  const able = { model: "able", capabilities: ["logprobs"], migrationLimit: 3 } as const;
  for (const each of [worker, other]) await serveModel(each, { ...able, endpoint: "dyn://dynamo.able.generate" }, run);
  await serveModel(worker, { model: "unable", endpoint: "dyn://dynamo.unable.generate" }, run);
  const mock = await startMockWorker({ config, memorySpace, component: "mock" });
  const frontend = await createFrontend({ runtime, httpPort: 0, httpAnswerLimitBytes: 2 ** 20 });
  const { url } = frontend;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
  const post = async (path: string, body: object): Promise<[number, Record<string, unknown>]> => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return [response.status, (await response.json()) as Record<string, unknown>];
  };
  const likelyFrontend: Likely = {
    url,
    client,
    engine: speak("x"),
    seen: undefined,
    post,
    async complete(body) {
      const [status, answer] = await post("completions", { model: "able", prompt: "x", ...body });
      expect([status, answer["error"]]).toEqual([200, undefined]);
      return answer["choices"] as TextChoice[];
    },
    async stream(body) {
      const ask = { model: "able", prompt: "x", ...body, stream: true };
      const choices: TextChoice[] = [];
      for await (const chunk of await client.completions.create(ask as OpenAI.CompletionCreateParamsStreaming))
        for (const choice of chunk.choices) choices[choice.index] = join(choices[choice.index], choice as TextChoice);
      return choices;
    },
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await mock.close();
      await Promise.all(runtimes.map((each) => each.close()));
    },
  };
  return likelyFrontend;
}

function join(before: TextChoice | undefined, piece: TextChoice): TextChoice {
  if (!before) return piece;
  const lists = Object.entries(piece.logprobs ?? {}) as [keyof TextLogprobs, never[]][];
  for (const [name, list] of lists) before.logprobs?.[name].push(...list);
  return { ...before, text: before.text + piece.text, finish_reason: piece.finish_reason };
}

/** A token, its logprob the negative of its length. */
export function likely(token: string): { token: string; logprob: number } {
  return { token, logprob: -token.length };
}

/** Yields each text as a token, after what is known of the prompt. */
export function speak(...tokens: string[]): Engine {
  return async function* speaker({ logprobs, generated, prompt }) {
    if (logprobs?.prompt === true && !generated) {
      const [first = "", ...rest] = (prompt?.text ?? "").split(/(?= )/);
      yield { text: "", promptLogprobs: [{ token: first, logprob: null }, ...rest.map(likely)] };
    }
    for (const text of tokens.slice(generated?.tokens ?? 0))
      yield { text, tokenIds: [1], ...(logprobs && { logprobs: [likely(text)] }) };
  };
}

/** Every token stands in the text where it is said to be. */
export function expectAligned({ text, logprobs }: TextChoice): void {
  const letters = Array.from(text);
  for (const [at, token] of (logprobs?.tokens ?? []).entries()) {
    const begin = logprobs?.text_offset[at] ?? -1;
    expect(letters.slice(begin, begin + Array.from(token).length).join("")).toBe(token);
  }
}
