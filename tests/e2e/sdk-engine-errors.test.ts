// What an engine throws, as the official clients raise it: class, type, code, how often they try, before the first token and after it.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type ErrorCode, type Runtime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { createLogger } from "../../packages/runtime/dist/logging/logger.js";
import { eventually } from "../cluster.ts";

let attempts = 0;
let worker: Runtime;
let caller: Runtime;
let frontend: Frontend;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  const log = createLogger({ sink: () => undefined });
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> => createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log });
  [worker, caller] = await Promise.all([open(), open()]);
  // The prompt says which code to throw, and after how many tokens.
  await serveModel(worker, { model: "thrower" }, async function* ({ messages }) {
    attempts += 1;
    const [code, tokens] = (messages.at(-1)?.text ?? "").split(" ");
    for (let index = 0; index < Number(tokens); index += 1) yield { text: "x" };
    throw code === "bug" ? new TypeError("secret") : new RuntimeError(code as ErrorCode, "what happened");
  });
  frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 1 });
  anthropic = new Anthropic({ baseURL: frontend.url, apiKey: "unused", maxRetries: 1 });
  await eventually("the model", async () => (await openai.models.list()).data.length === 1);
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await Promise.all([worker, caller].map((runtime) => runtime[Symbol.asyncDispose]()));
});

interface Raised {
  readonly constructor: { readonly name: string };
  readonly status: number | undefined;
  readonly type: string | null;
  readonly code?: string | null;
  readonly message: string;
}

async function raise(call: () => Promise<unknown>): Promise<{ error: Raised; tries: number }> {
  const before = attempts;
  const error = await call().then(
    () => new Error("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  return { error: error as Raised, tries: attempts - before };
}

const chat = (content: string): Promise<unknown> => openai.chat.completions.create({ model: "thrower", messages: [{ role: "user", content }] });
const message = (content: string): Promise<unknown> =>
  anthropic.messages.create({ model: "thrower", max_tokens: 10, messages: [{ role: "user", content }] });

// A 5xx is tried again by the clients' own rule, unless we say that it is of no use.
test.each([
  ["invalid_argument", 400, 1, "BadRequestError", "invalid_request_error", null, "BadRequestError", "invalid_request_error"],
  ["unimplemented", 501, 1, "InternalServerError", "invalid_request_error", "unsupported", "NotImplementedError", "invalid_request_error"],
  ["bug", 500, 2, "InternalServerError", "server_error", "internal_error", "InternalServerError", "api_error"],
  ["unavailable", 503, 2, "InternalServerError", "server_error", "service_unavailable", "ServiceUnavailableError", "overloaded_error"],
  ["deadline_exceeded", 504, 2, "InternalServerError", "server_error", "timeout", "GatewayTimeoutError", "timeout_error"],
  ["overloaded", 529, 2, "InternalServerError", "overloaded_error", "overloaded", "OverloadedError", "overloaded_error"],
])("%s is a %i, tried %i times", async (thrown, status, tries, openaiClass, openaiType, openaiCode, anthropicClass, anthropicType) => {
  const [ours, theirs] = [await raise(() => chat(`${thrown} 0`)), await raise(() => message(`${thrown} 0`))];
  expect(ours).toMatchObject({ tries, error: { status, type: openaiType, code: openaiCode } });
  expect(theirs).toMatchObject({ tries, error: { status, type: anthropicType } });
  expect([ours.error.constructor.name, theirs.error.constructor.name]).toEqual([openaiClass, anthropicClass]);
  for (const { error } of [ours, theirs]) {
    expect(error.message).toContain(thrown === "bug" ? "Internal server error" : "what happened");
    expect(error.message).not.toContain("secret");
  }
});

test.each([
  ["unimplemented", "invalid_request_error", "unsupported", "invalid_request_error"],
  ["bug", "server_error", "internal_error", "api_error"],
  ["deadline_exceeded", "server_error", "timeout", "timeout_error"],
  ["overloaded", "overloaded_error", "overloaded", "overloaded_error"],
])("%s after two tokens ends the stream with the same error, tried once", async (thrown, openaiType, openaiCode, anthropicType) => {
  let text = "";
  const ours = await raise(async () => {
    const messages = [{ role: "user" as const, content: `${thrown} 2` }];
    for await (const { choices } of await openai.chat.completions.create({ model: "thrower", messages, stream: true }))
      text += choices[0]?.delta.content ?? "";
  });
  expect(ours).toMatchObject({ tries: 1, error: { type: openaiType, code: openaiCode } });
  const theirs = await raise(() => {
    const messages = [{ role: "user" as const, content: `${thrown} 2` }];
    const stream = anthropic.messages.stream({ model: "thrower", max_tokens: 10, messages });
    return stream.on("text", (piece) => (text += piece)).finalMessage();
  });
  expect(theirs).toMatchObject({ tries: 1, error: { type: anthropicType } });
  expect(text).toBe("xxxx");
});
