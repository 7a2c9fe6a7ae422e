// What engines see of conversations as today's official APIs and clients have them: roles, blocks, results of tools, and parts that are no text.
import { describe, expect, test } from "vitest";
import { parseCountRequest, parseMessagesRequest } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import { parseChatRequest } from "../../packages/frontend/src/openai/chat-schema.ts";
import type { InferenceRequest } from "../../packages/frontend/src/inference/api.ts";
import { fitParts } from "../../packages/frontend/src/inference/media.ts";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../support/logger.ts";

const limits = { maxMessages: 100, maxCompletions: 1, maxEchoBytes: 1_048_576 };

interface Seen {
  readonly seen: readonly (readonly [role: string, text: string])[];
  /** By name. */
  readonly skipped: readonly string[];
}

/** As an engine sees it that reads text alone. */
function toSeen({ job, media = [], skipped = [] }: InferenceRequest): Seen {
  const all = new Set(skipped);
  const log = createLogger({
    sink: ({ skipped_parts: more }) => addAll(all, String(more)),
    filter: parseLogFilter("debug"),
  });
  const { messages } = fitParts(job, media, new Set(), log);
  expect(messages.some(({ parts }) => parts)).toBe(false);
  return { seen: messages.map(({ role, text }) => [role, text]), skipped: [...all].toSorted() };
}

function addAll(all: Set<string>, names: string): void {
  for (const name of names.split(", ")) all.add(name);
}

/** Of a messages request, and the same of a count of its tokens. */
function anthropic(messages: unknown, more: object = {}): Seen {
  const asked = toSeen(parseMessagesRequest({ model: "m", max_tokens: 1, messages, ...more }, limits));
  expect(toSeen(parseCountRequest({ model: "m", messages, ...more }, limits))).toEqual(asked);
  return asked;
}

function openai(messages: unknown): Seen {
  return toSeen(parseChatRequest({ model: "m", messages }, limits));
}

const ask = { role: "user", content: "what is in cat.png?" };
const text = (said: string): object => ({ type: "text", text: said });
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "" } };
const call = { role: "assistant", content: [text("let me see"), { type: "tool_use", id: "t", name: "f", input: {} }] };
const result = (content: unknown): object => ({ type: "tool_result", tool_use_id: "t", content });

// Every member of ContentBlockParam and BetaContentBlockParam in which there is no text, and two that nobody has thought of yet.
const unread = `
  redacted_thinking server_tool_use mcp_tool_use web_search_tool_result web_fetch_tool_result
  advisor_tool_result code_execution_tool_result bash_code_execution_tool_result text_editor_code_execution_tool_result
  tool_search_tool_result container_upload tool_addition tool_removal mcp_tool_listing fallback hologram constructor`;

describe("Anthropic's messages", () => {
  test("may have system messages among them, which stay where they are", () => {
    expect(
      anthropic([ask, { role: "system", content: [text("be "), text("brief")] }], { system: "first" }).seen,
    ).toEqual([
      ["system", "first"],
      ["user", ask.content],
      ["system", "be brief"],
    ]);
  });

  test("lose a system message that is for one turn of the user once there is another", () => {
    const hint = { role: "system", content: "now", clear_at: "next_user_message" };
    const never = { role: "system", content: "always", clear_at: "never" };
    expect(anthropic([ask, hint, never]).seen.map(([, said]) => said)).toEqual([ask.content, "now", "always"]);
    expect(
      anthropic([ask, hint, never, { role: "assistant", content: "a cat" }, ask]).seen.map(([, said]) => said),
    ).toEqual([ask.content, "always", "a cat", ask.content]);
  });

  test("may have system messages that say nothing, but set options and tools", () => {
    const change = { role: "system", content: [{ type: "tool_addition", tool: {} }] };
    expect(anthropic([ask, { role: "system", output_config: { effort: "low" } }, change])).toEqual({
      seen: [["user", ask.content]],
      skipped: ["tool_addition"],
    });
  });

  test("have results of tools as messages of the tool, in the order of the blocks", () => {
    const answer = {
      role: "user",
      content: [
        text("one"),
        result("first"),
        result([text("sec"), text("ond")]),
        text("go "),
        text("on"),
        result(null),
      ],
    };
    expect(anthropic([ask, call, answer]).seen).toEqual([
      ["user", ask.content],
      ["assistant", "let me see"],
      ["user", "one"],
      ["tool", "first"],
      ["tool", "second"],
      ["user", "go on"],
      ["tool", ""],
    ]);
  });

  test("of results alone are no message of the user", () => {
    expect(anthropic([ask, call, { role: "user", content: [result("a cat")] }]).seen.at(-1)).toEqual(["tool", "a cat"]);
    expect(anthropic([{ role: "user", content: [] }]).seen).toEqual([["user", ""]]);
    expect(anthropic([ask, { role: "assistant", content: [{ type: "thinking" }] }, ask]).seen[1]).toEqual([
      "assistant",
      "",
    ]);
  });

  test.each(unread.trim().split(/\s+/))("go on without a block of the history that is a %s", (type) => {
    const history = [
      ask,
      { role: "assistant", content: [text("a "), { type, content: [{ type: "secret" }] }, text("cat")] },
      ask,
    ];
    expect(anthropic(history)).toEqual({
      seen: [
        ["user", ask.content],
        ["assistant", "a cat"],
        ["user", ask.content],
      ],
      skipped: [type],
    });
  });

  test("go on without images of earlier turns and of results, also while tools are at work on the last turn", () => {
    const seen = [ask.content, "a cat", "and now?", "let me see", ""];
    const turns = [
      { role: "user", content: [image, text(ask.content)] },
      { role: "assistant", content: "a cat" },
      { role: "user", content: "and now?" },
    ];
    const found = anthropic([
      ...turns,
      call,
      { role: "user", content: [result([image, { type: "tool_reference", tool_name: "f" }])] },
    ]);
    expect(found).toEqual({
      seen: found.seen.map(([role], index) => [role, seen[index]]),
      skipped: ["image", "tool_reference"],
    });
  });

  test.each([
    ["an image", [text("what is it?"), image], 1],
    [
      "a pdf",
      [{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "" } }, text("sum it up")],
      0,
    ],
    ["a document with an image", [{ type: "document", source: { type: "content", content: [text("see"), image] } }], 0],
    ["an upload", [{ type: "container_upload", file_id: "f" }], 0],
    ["something new", [{ type: "hologram" }], 0],
  ])("with %s in what the user asks last are refused by its name", (_name, content, at) => {
    const { type } = content[at] as { type: string };
    const words = (index: number): string =>
      `messages[${index}].content[${at}].type: ${type} is not read by this model`;
    const said = { role: "user", content };
    expect(() => anthropic([ask, call, said])).toThrow(words(2));
    expect(() =>
      anthropic([said, { role: "user", content: "well?" }, { role: "system", content: "be brief" }]),
    ).toThrow(words(0));
    expect(() => anthropic([said, { role: "assistant", content: "It is" }])).toThrow(words(0)); // the answer has been begun for the model
    expect(() => anthropic([said, call, { role: "user", content: [result("")] }])).toThrow(words(0)); // a tool has answered, the model has not
  });

  test("are read where there is text: documents, search results, summaries, results of a server's tools", () => {
    const documents = [
      { type: "document", source: { type: "text", media_type: "text/plain", data: "one" } },
      { type: "document", title: "2", source: { type: "content", content: [text("t"), text("wo")] } },
      { type: "search_result", source: "s", title: "3", content: [text("three")] },
    ];
    const history = {
      role: "assistant",
      content: [
        { type: "compaction", content: "before" },
        { type: "mcp_tool_result", content: [text("42")] },
        text("so"),
      ],
    };
    expect(anthropic([history, { role: "user", content: [...documents, text("which?")] }]).seen).toEqual([
      ["assistant", "before"],
      ["tool", "42"],
      ["assistant", "so"],
      ["user", "one\n\ntwo\n\nthree\n\nwhich?"],
    ]);
  });

  test.each(["adaptive", "enabled", "between_tools", "disabled"])(
    "may be asked for with thinking that is %s",
    (type) => {
      expect(() => anthropic([ask], { thinking: { type, budget_tokens: 1_024, display: "omitted" } })).not.toThrow();
    },
  );
});

describe("OpenAI's messages", () => {
  const url = { type: "image_url", image_url: { url: "data:," } };

  test("have results of tools as messages of the tool, and calls without text", () => {
    const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }];
    const talk = [
      { role: "developer", content: [text("be brief")] },
      ask,
      { role: "assistant", content: [], tool_calls: calls },
      { role: "tool", tool_call_id: "c", content: [text("a "), text("cat")] },
      { role: "assistant", content: null, tool_calls: calls },
      { role: "tool", tool_call_id: "c", content: null },
      { role: "assistant", tool_calls: calls },
      { role: "function", name: "f", content: null },
    ];
    expect(openai(talk)).toEqual({
      seen: [
        ["developer", "be brief"],
        ["user", ask.content],
        ["assistant", ""],
        ["tool", "a cat"],
        ["assistant", ""],
        ["tool", ""],
        ["assistant", ""],
        ["tool", ""],
      ],
      skipped: [],
    });
  });

  test.each([
    ["image_url", url],
    ["input_audio", { type: "input_audio", input_audio: { data: "", format: "wav" } }],
    ["file", { type: "file", file: { file_id: "f" } }],
    ["hologram", { type: "hologram" }],
  ])("go on without a part of an earlier turn that is a %s", (type, part) => {
    const history = [
      { role: "user", content: [part, text("see?")] },
      { role: "assistant", content: [{ type: "thinking" }, text("yes")] },
      ask,
    ];
    expect(openai(history)).toEqual({
      seen: [
        ["user", "see?"],
        ["assistant", "yes"],
        ["user", ask.content],
      ],
      skipped: [type, "thinking"],
    });
    expect(() => openai([...history, { role: "user", content: [text("and this?"), part] }])).toThrow(
      `messages[3].content[1].type: ${type} is not read by this model; in earlier turns it is skipped`,
    );
  });

  test("with images in results of tools go on without them, but not with those of the question", () => {
    expect(() => openai([{ role: "user", content: [url] }, call, { role: "tool", content: "" }])).toThrow(
      "messages[0].content[0].type: image_url",
    );
    expect(openai([ask, { role: "tool", content: [url] }])).toEqual({
      seen: [
        ["user", ask.content],
        ["tool", ""],
      ],
      skipped: ["image_url"],
    });
  });
});

test("kinds that are skipped are named once, without what clients may write into a log, and not without end", () => {
  const odd = ["x\n2026 ERROR", "", "y".repeat(65)].map((type) => ({ type }));
  const many = Array.from({ length: 100 }, (_, index) => ({ type: `t${index}` }));
  expect(openai([{ role: "assistant", content: [...odd, { type: "a" }, { type: "a" }] }]).skipped).toEqual([
    "a",
    "an unknown kind",
  ]);
  expect(openai([{ role: "assistant", content: many }]).skipped).toHaveLength(16);
});
