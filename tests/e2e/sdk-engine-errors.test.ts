// What an engine throws, as the official clients raise it: class, type, code, how often they try, before the first token and after it.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RuntimeError, type ErrorCode } from "@dyn/runtime";
import { openEngine, type EngineFixture } from "./sdk/engine.ts";

// By prompt.
const attempts = new Map<string, number>();
let fixture: EngineFixture;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  // The prompt says which code to throw, after how many tokens, and to whom.
  fixture = await openEngine("thrower", 1, async function* ({ messages }) {
    const prompt = messages.at(-1)?.text ?? "";
    attempts.set(prompt, (attempts.get(prompt) ?? 0) + 1);
    const [code, tokens] = prompt.split(" ");
    for (let index = 0; index < Number(tokens); index += 1) yield { text: "x" };
    throw code === "bug" ? new TypeError("secret") : new RuntimeError(code as ErrorCode, "what happened");
  });
  ({ openai, anthropic } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());

interface Raised {
  readonly constructor: { readonly name: string };
  readonly status: number | undefined;
  readonly type: string | null;
  readonly code?: string | null;
  readonly message: string;
}

type Call = (content: string) => Promise<unknown>;

async function raise(prompt: string, call: Call): Promise<{ error: Raised; tries: number | undefined }> {
  const error = await call(prompt).then(
    () => new Error("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  return { error: error as Raised, tries: attempts.get(prompt) };
}

const toMessages = (content: string): { role: "user"; content: string }[] => [{ role: "user", content }];
const chat: Call = (content) => openai.chat.completions.create({ model: "thrower", messages: toMessages(content) });
const message: Call = (content) =>
  anthropic.messages.create({ model: "thrower", max_tokens: 10, messages: toMessages(content) });

// A 5xx is tried again by the clients' own rule, unless we say that it is of no use.
test.each([
  [
    "invalid_argument",
    400,
    1,
    "BadRequestError",
    "invalid_request_error",
    null,
    "BadRequestError",
    "invalid_request_error",
  ],
  [
    "unimplemented",
    501,
    1,
    "InternalServerError",
    "invalid_request_error",
    "unsupported",
    "NotImplementedError",
    "invalid_request_error",
  ],
  ["bug", 500, 2, "InternalServerError", "server_error", "internal_error", "InternalServerError", "api_error"],
  [
    "unavailable",
    503,
    2,
    "InternalServerError",
    "server_error",
    "service_unavailable",
    "ServiceUnavailableError",
    "overloaded_error",
  ],
  [
    "deadline_exceeded",
    504,
    2,
    "InternalServerError",
    "server_error",
    "timeout",
    "GatewayTimeoutError",
    "timeout_error",
  ],
  [
    "overloaded",
    529,
    2,
    "InternalServerError",
    "overloaded_error",
    "overloaded",
    "OverloadedError",
    "overloaded_error",
  ],
])(
  "%s is a %i, tried %i times",
  async (thrown, status, tries, openaiClass, openaiType, openaiCode, anthropicClass, anthropicType) => {
    const [ours, theirs] = await Promise.all([
      raise(`${thrown} 0 openai`, chat),
      raise(`${thrown} 0 anthropic`, message),
    ]);
    expect(ours).toMatchObject({ tries, error: { status, type: openaiType, code: openaiCode } });
    expect(theirs).toMatchObject({ tries, error: { status, type: anthropicType } });
    expect([ours.error.constructor.name, theirs.error.constructor.name]).toEqual([openaiClass, anthropicClass]);
    for (const { error } of [ours, theirs]) {
      expect(error.message).toContain(thrown === "bug" ? "Internal server error" : "what happened");
      expect(error.message).not.toContain("secret");
    }
  },
);

test.each([
  ["unimplemented", "invalid_request_error", "unsupported", "invalid_request_error"],
  ["bug", "server_error", "internal_error", "api_error"],
  ["deadline_exceeded", "server_error", "timeout", "timeout_error"],
  ["overloaded", "overloaded_error", "overloaded", "overloaded_error"],
])(
  "%s after two tokens ends the stream with the same error, tried once",
  async (thrown, openaiType, openaiCode, anthropicType) => {
    let text = "";
    const ours = await raise(`${thrown} 2 openai`, async (prompt) => {
      const stream = await openai.chat.completions.create({
        model: "thrower",
        messages: toMessages(prompt),
        stream: true,
      });
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
    });
    expect(ours).toMatchObject({ tries: 1, error: { type: openaiType, code: openaiCode } });
    const theirs = await raise(`${thrown} 2 anthropic`, (prompt) => {
      const stream = anthropic.messages.stream({ model: "thrower", max_tokens: 10, messages: toMessages(prompt) });
      return stream.on("text", (piece) => (text += piece)).finalMessage();
    });
    expect(theirs).toMatchObject({ tries: 1, error: { type: anthropicType } });
    expect(text).toBe("xxxx");
  },
);
