// What an engine says of its tokens, and what it leaves to be counted, in the usage of every API and in both ends' lines, whatever ends the answer.
import assert from "node:assert";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Delta } from "@dyn/runtime/llm";
import { createLogger } from "../support/logger.ts";
import { eventually, type Line } from "../support/cluster.ts";

// Its tokenizer makes 23 tokens of any prompt, and two of each word of the answer.
const words: readonly Delta[] = ["one", " two", " three", " four"].map((text, at) => ({
  text,
  tokenIds: [2 * at, 2 * at + 1],
}));
const promptTokens = 23;

function withUsage(at: number, usage: Delta["usage"]): Delta[] {
  return words.map((word, index) => (index === at && usage ? { ...word, usage } : word));
}

// By the prompt.
const engines: Readonly<Record<string, readonly Delta[]>> = {
  first: withUsage(0, { promptTokens }),
  before: [{ text: "", usage: { promptTokens } }, ...words],
  middle: withUsage(1, { promptTokens }),
  last: withUsage(3, { promptTokens }),
  silent: words,
  own: withUsage(3, { promptTokens, completionTokens: 11 }),
  upstream: [{ text: "", usage: { promptTokens, completionTokens: 0 } }, ...words],
  hanging: withUsage(0, { promptTokens }),
};

interface Counts {
  readonly input: number | undefined;
  readonly output: number | undefined;
}

const lines: Line[] = [];
const runtimes: Runtime[] = [];
let frontend: Frontend;
beforeAll(async () => {
  const memorySpace = createMemorySpace();
  const open = async (): Promise<Runtime> => {
    const log = createLogger({ sink: (record) => lines.push(record) });
    const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
    runtimes.push(runtime);
    return runtime;
  };
  await serveModel(await open(), { model: "counter" }, async function* ({ messages }, { signal }) {
    const prompt = messages.at(-1)?.text ?? "";
    yield* engines[prompt] ?? [];
    if (prompt === "hanging") await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  frontend = await createFrontend({ runtime: await open(), httpPort: 0 });
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await Promise.all(runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
});

const apis = {
  chat: { path: "/v1/chat/completions", stop: "stop" },
  completions: { path: "/v1/completions", stop: "stop" },
  messages: { path: "/v1/messages", stop: "stop_sequences" },
} as const;
type Api = keyof typeof apis;

interface Asked {
  readonly stop?: string;
  readonly maxTokens?: number;
  readonly stream?: boolean;
  readonly n?: number;
}

function post(api: Api, prompt: string, { stop, maxTokens = 100, stream = false, n }: Asked = {}): Promise<Response> {
  const body = {
    model: "counter",
    ...(api === "completions" ? { prompt } : { messages: [{ role: "user", content: prompt }] }),
    max_tokens: maxTokens,
    stream,
    ...(stop !== undefined && { [apis[api].stop]: [stop] }),
    ...(n !== undefined && { n }),
    ...(stream && api !== "messages" && { stream_options: { include_usage: true } }),
  };
  const headers = { "content-type": "application/json" };
  return fetch(`${frontend.url}${apis[api].path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

type Usage = Readonly<Record<string, number | undefined>>;

function toCounts(usage: Usage | null | undefined): Counts {
  return {
    input: usage?.["prompt_tokens"] ?? usage?.["input_tokens"],
    output: usage?.["completion_tokens"] ?? usage?.["output_tokens"],
  };
}

interface Event {
  readonly type?: string;
  readonly usage?: Usage | null;
  readonly message?: { readonly usage: Usage };
}

async function readEvents(response: Response): Promise<Event[]> {
  const data = (await response.text()).split("\n").filter((line) => line.startsWith("data: {"));
  return data.map((line) => JSON.parse(line.slice("data: ".length)) as Event);
}

async function count(api: Api, prompt: string, asked: Asked): Promise<Counts> {
  const response = await post(api, prompt, asked);
  expect(response.status).toBe(200);
  if (asked.stream) return toCounts((await readEvents(response)).findLast(({ usage }) => usage)?.usage);
  return toCounts(((await response.json()) as Event).usage);
}

const kinds = (Object.keys(apis) as Api[]).flatMap((api) => [
  { api, stream: false },
  { api, stream: true },
]);

describe.each(kinds)("$api, stream: $stream", ({ api, stream }) => {
  const places = ["first", "before", "middle", "last", "upstream"];

  test.each(places)(
    "has the engine's count of the prompt, and that of the tokens that came, given %s",
    async (prompt) => {
      expect(await count(api, prompt, { stream })).toEqual({ input: 23, output: 8 });
    },
  );

  test.each(["first", "before", "middle", "upstream"])("keeps both at a stop string, given %s", async (prompt) => {
    // What has the stop string was generated, too.
    expect(await count(api, prompt, { stream, stop: "three" })).toEqual({ input: 23, output: 6 });
  });

  test.each(["first", "before", "middle", "upstream"])("keeps both at max_tokens, given %s", async (prompt) => {
    expect(await count(api, prompt, { stream, maxTokens: 4 })).toEqual({ input: 23, output: 4 });
    expect(await count(api, prompt, { stream, maxTokens: 5 })).toEqual({ input: 23, output: 4 });
  });

  test("has the engine's own counts where it ends by itself", async () => {
    expect(await count(api, "own", { stream })).toEqual({ input: 23, output: 11 });
  });

  test("has the runtime's counts where the engine says nothing", async () => {
    expect(await count(api, "silent", { stream })).toEqual({ input: 1, output: 8 });
  });

  test("takes of a delta that would pass max_tokens what it says of the prompt", async () => {
    expect(await count(api, "own", { stream, maxTokens: 7 })).toEqual({ input: 23, output: 6 });
  });
});

// Anthropic's API has one choice.
test.each((["chat", "completions"] as const).flatMap((api) => [true, false].map((stream) => ({ api, stream }))))(
  "an answer of several choices has the prompt once and every choice's tokens: $api, stream $stream",
  async ({ api, stream }) => {
    expect(await count(api, "middle", { stream, n: 3 })).toEqual({ input: 23, output: 24 });
    expect(await count(api, "middle", { stream, n: 3, stop: "three" })).toEqual({ input: 23, output: 18 });
  },
);

test.each(["first", "before"])("message_start has what the engine says %s of all", async (prompt) => {
  const [start] = await readEvents(await post("messages", prompt, { stream: true }));
  expect(start?.type).toBe("message_start");
  expect(toCounts(start?.message?.usage)).toEqual({ input: 23, output: 0 });
});

test("message_start has the frontend's count where the engine says nothing of it", async () => {
  const [start] = await readEvents(await post("messages", "silent", { stream: true }));
  expect(toCounts(start?.message?.usage)).toEqual({ input: 1, output: 0 });
});

test("both ends' lines have what the engine said and what came when the client leaves", async () => {
  lines.length = 0;
  const response = await post("chat", "hanging", { stream: true });
  const reader = response.body?.getReader();
  for (let text = ""; !text.includes("four");) {
    const { value } = (await reader?.read()) ?? {};
    assert(value, "the answer ended");
    text += new TextDecoder().decode(value);
  }
  await reader?.cancel();
  const ends = await eventually("the lines of both ends", () => {
    const found = lines.filter((line) => line["output_tokens"] !== undefined);
    return found.length >= 2 && found;
  });
  for (const line of ends) expect(line).toMatchObject({ input_tokens: 23, output_tokens: 8 });
});
