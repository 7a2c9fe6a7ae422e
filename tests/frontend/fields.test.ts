// What clients are told about a field that is wrong, in words of one kind for every field of every API.
import { describe, expect, test } from "vitest";
import { parseMessagesRequest } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import type { FieldLimits } from "../../packages/frontend/src/inference/fields.ts";
import { parseChatRequest } from "../../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../../packages/frontend/src/openai/completions-schema.ts";
import { toErrorBody } from "../../packages/frontend/src/openai/errors.ts";
import { toRuntimeError } from "../../packages/runtime/src/thrown.ts";

type Parse = (body: unknown, limits: FieldLimits) => unknown;

const limits = { maxMessages: 3, maxCompletions: 1_000, maxEchoBytes: 1_000 };

function problemOf(parse: Parse, body: unknown): { message: string; param: string | null } {
  try {
    parse(body, limits);
  } catch (error) {
    const { message, param } = toErrorBody(toRuntimeError(error)).error;
    return { message, param };
  }
  throw new Error("the body was taken");
}

const user = (content: unknown): unknown => ({ messages: [{ role: "user", content }] });

describe.each<[string, Parse, Record<string, unknown>, (readonly [unknown, string])[]]>([
  [
    "chat",
    parseChatRequest,
    { model: "m", messages: [{ role: "user", content: "hi" }] },
    [
      [{ model: undefined }, "model is required"],
      [{ model: 7 }, "model must be a string"],
      [{ model: "" }, "model must not be empty"],
      [{ model: "x".repeat(257) }, "model must have at most 256 characters, not 257"],
      [{ messages: [] }, "messages must not be empty"],
      [{ messages: "hi" }, "messages must be a list"],
      [{ messages: ["hi"] }, "messages[0] must be an object"],
      [{ tools: {} }, "tools must be a list"],
      [
        { messages: [{ role: "wizard", content: "hi" }] },
        'messages[0].role must be one of "system", "developer", "user", "assistant", "tool", "function"',
      ],
      [user(undefined), "messages[0].content is required"],
      [user(null), "messages[0].content must be a string or a list of parts"],
      [user([]), "messages[0].content must not be empty"],
      [
        user([{ type: "text", text: "hi" }, { type: "video" }]),
        "messages[0].content[1].type: video is not read by this model; in earlier turns it is skipped",
      ],
      [
        user([{ type: "<b>" }]),
        "messages[0].content[0].type: an unknown kind is not read by this model; in earlier turns it is skipped",
      ],
      [user(["hi"]), "messages[0].content[0] must be an object"],
      [user([{ type: 7 }]), "messages[0].content[0].type must be a string"],
      [user([{ type: "refusal", refusal: 7 }]), "messages[0].content[0].refusal must be a string"],
      [user([{ text: "hi" }]), "messages[0].content[0].type is required"],
      [user([{ type: "text" }]), "messages[0].content[0].text is required"],
      [{ max_tokens: -1 }, "max_tokens must be at least 0"],
      [{ max_tokens: 1.5 }, "max_tokens must be a whole number"],
      [{ temperature: 3 }, "temperature must be at most 2"],
      [{ temperature: "hot" }, "temperature must be a number"],
      [{ stream: "yes" }, "stream must be true or false"],
      [{ stop: ["1", "2", "3", "4", "5"] }, "stop must have at most 4 items, not 5"],
      [{ stop: ["1", 2] }, "stop[1] must be a string"],
      [{ messages: [{ role: "user", content: "hi", name: 7 }] }, "messages[0].name must be a string"],
      [
        { messages: Array.from({ length: 4 }, () => ({ role: "user", content: "hi" })) },
        "messages must have at most 3 items, not 4",
      ],
      [{ n: 129 }, "n must be at most 128"],
      [{ stop: 7 }, "stop must be a string or a list of up to 4"],
      [{ logprobs: 1 }, "logprobs must be true or false"],
      [{ stream_options: {} }, "stream_options is only allowed when stream is true"],
    ],
  ],
  [
    "completions",
    parseCompletionRequest,
    { model: "m", prompt: "hi" },
    [
      [{ prompt: undefined }, "prompt is required"],
      [{ prompt: 7 }, "prompt must be a string, a list of token ids, or a list of 1 to 1024 of either"],
      [{ prompt: [null] }, "prompt must be a string, a list of token ids, or a list of 1 to 1024 of either"],
      [{ prompt: [] }, "prompt must not be empty"],
      [{ prompt: ["x", 1] }, "prompt[1] must be a string"],
      [{ prompt: [1, 2, "x"] }, "prompt[2] must be a number"],
      [{ prompt: [1.5] }, "prompt[0] must be a whole number"],
      [{ prompt: [-1] }, "prompt[0] must be at least 0"],
      [{ prompt: [4_294_967_296] }, "prompt[0] must be at most 4294967295"],
      [{ prompt: [[1], "x"] }, "prompt[1] must be a list"],
      [{ prompt: [[1], []] }, "prompt[1] must not be empty"],
      [{ prompt: [[1], [2, null]] }, "prompt[1][1] must be a number"],
      [
        { prompt: Array.from({ length: 8 }, () => "x"), n: 126 },
        "n is too large: 8 prompts with 126 completions each are more than 1000",
      ],
      [{ suffix: "x" }, "suffix is not supported"],
      [{ best_of: 2 }, "best_of is only supported when equal to n"],
      [
        { prompt: Array.from({ length: 1_000 }, () => "x"), n: 2 },
        "n is too large: 1000 prompts with 2 completions each are more than 1000",
      ],
    ],
  ],
  [
    "messages",
    parseMessagesRequest,
    { model: "m", max_tokens: 1, messages: [{ role: "user", content: "hi" }] },
    [
      [{ max_tokens: undefined }, "max_tokens is required"],
      [{ max_tokens: -1 }, "max_tokens must be at least 0"],
      [
        user([{ type: "video" }]),
        "messages[0].content[0].type: video is not read by this model; in earlier turns it is skipped",
      ],
      [user(undefined), "messages[0].content is required"],
      [user(null), "messages[0].content must be a string or a list of content blocks"],
      [
        user([{ type: "tool_result", content: [{ type: "text" }] }]),
        "messages[0].content[0].content[0].text is required",
      ],
      [
        user([{ type: "tool_result", content: 7 }]),
        "messages[0].content[0].content must be a string or a list of content blocks",
      ],
      [user([{ type: "search_result" }]), "messages[0].content[0].content is required"],
      [
        { messages: [{ role: "tool", content: "hi" }] },
        'messages[0].role must be one of "user", "assistant", "system"',
      ],
      [{ system: [{ type: "image" }] }, 'system[0].type must be "text"'],
      [
        { thinking: { type: "deep" } },
        'thinking.type must be one of "adaptive", "enabled", "between_tools", "disabled"',
      ],
      [{ thinking: { type: "enabled", budget_tokens: 1_023 } }, "thinking.budget_tokens must be at least 1024"],
      [{ thread: { type: "create" } }, "thread is not supported: send the whole conversation"],
      [{ stop_sequences: [""] }, "stop_sequences[0] must not be empty"],
      [
        { messages: Array.from({ length: 4 }, () => ({ role: "user", content: "hi" })) },
        "messages must have at most 3 items, not 4",
      ],
    ],
  ],
])("%s", (_name, parse, good, cases) => {
  test.each(cases)("%j: %s", (more, message) => {
    const problem = problemOf(parse, { ...good, ...(more as object) });
    expect(problem.message).toBe(message);
    expect(message.startsWith(String(problem.param))).toBe(true);
  });

  test.each([[[]], ["text"], [null], [7]])("%j is no body", (body) => {
    expect(problemOf(parse, body)).toEqual({ message: "the request body must be a JSON object", param: null });
  });

  test("a good body is taken", () => {
    expect(() => parse(good, limits)).not.toThrow();
  });
});

test("a prompt has no more items than may be, nor token ids in all", () => {
  const ids = Array.from({ length: 1_048_576 }, (_, index) => index);
  const parsePrompt = (prompt: unknown): readonly number[] => {
    const { job } = parseCompletionRequest({ model: "m", prompt }, limits);
    return (job.prompts ?? [job.prompt]).map((each) => each?.tokenIds?.length ?? 0);
  };
  expect(parsePrompt(ids)).toEqual([1_048_576]);
  expect(parsePrompt([ids.slice(1), [0]])).toEqual([1_048_575, 1]);
  const apiCode = "array_above_max_length";
  expect(() => parsePrompt([...ids, 0])).toThrow(
    expect.objectContaining({ message: "prompt must have at most 1048576 items, not 1048577", apiCode }),
  );
  expect(() => parsePrompt([ids, [0]])).toThrow(
    expect.objectContaining({ message: "prompt must have at most 1048576 token ids in all, not 1048577", apiCode }),
  );
  for (const item of ["x", [1]]) {
    const many = Array.from({ length: 1_025 }, () => item);
    expect(() => parsePrompt(many)).toThrow(
      expect.objectContaining({ message: "prompt must have at most 1024 items, not 1025", apiCode }),
    );
  }
});

test("fewer completions than the API has can be allowed", () => {
  const few = { maxMessages: 3, maxCompletions: 2, maxEchoBytes: 1_000 };
  expect(() => parseChatRequest({ model: "m", messages: [{ role: "user", content: "hi" }], n: 3 }, few)).toThrow(
    "n must be at most 2",
  );
  expect(() => parseCompletionRequest({ model: "m", prompt: ["a", "b", "c"] }, few)).toThrow(
    "3 prompts with 1 completion each are more than 2",
  );
});
