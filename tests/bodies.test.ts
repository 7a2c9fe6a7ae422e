// Bodies as large as they may be: what they hold must not cost far more than their bytes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseMessagesRequest } from "../packages/frontend/src/anthropic/messages-schema.ts";
import { parseJsonBody } from "../packages/frontend/src/http/body.ts";
import { parseChatRequest } from "../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../packages/frontend/src/openai/completions-schema.ts";
import { root } from "./cluster.ts";

const largest = 45 * 1024 * 1024;

function fill(before: string, repeated: string, after: string): Buffer {
  const times = Math.floor((largest - before.length - after.length) / repeated.length);
  return Buffer.concat([Buffer.from(before), Buffer.alloc(times * repeated.length, repeated), Buffer.from(after)]);
}

const limits = { maxMessages: 100_000, maxCompletions: 1_000, maxEchoBytes: 1_048_576 };

const parse = (body: Buffer): unknown => parseJsonBody(body);

describe("a body of 45 MiB", () => {
  test.each<[string, (body: unknown, fieldLimits: typeof limits) => unknown, Buffer, string]>([
    ["messages that are none", parseChatRequest, fill('{"model":"m","messages":[', "1,", "1]}"), "messages[0] must be an object"],
    ["prompts that are none", parseCompletionRequest, fill('{"model":"m","prompt":[', "null,", "1]}"), "prompt must be a string, a list"],
    ["content that is none", parseMessagesRequest, fill('{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[', "1,", "1]}]}"), "[0]"],
    ["objects without end", parseChatRequest, fill("[", "{},", "{}]"), "the request body holds more than 262144 lists and objects"],
    ["fields without end", parseChatRequest, fill("{", '"a":1,', '"a":1}'), "the request body holds more than 1048576 fields"],
    ["lists in lists", parseChatRequest, fill("", "[", ""), "the request body is nested deeper than 1000 levels"],
    ["nothing but lines", parseChatRequest, fill("", "\n", "x"), "unexpected character at position 47185919 of 47185920 (line 47185920, column 1)"],
  ])("of %s is refused for what is wrong first", (_name, parseRequest, body, message) => {
    expect(() => parseRequest(parse(body), limits)).toThrow(message);
  });

  test("with everything in texts is taken", () => {
    const body = parse(fill('{"model":"m","messages":[{"role":"user","content":"', '[{:\\"\\\\', '"}]}'));
    expect(parseChatRequest(body, limits).job.messages[0]?.text.length).toBeGreaterThan(largest / 2);
  });
});

describe("a list", () => {
  test("is not looked through behind its first wrong items", () => {
    let seen = 0;
    const wrong = {
      get role(): string {
        seen += 1;
        return "wizard";
      },
      content: "hi",
    };
    const messages = Array.from({ length: 100_000 }, () => wrong);
    expect(() => parseChatRequest({ model: "m", messages }, limits)).toThrow("messages[0].role must be one of");
    expect(seen).toBeLessThanOrEqual(512);
  });

  test("is looked through to its end, and the first wrong item is named by its place", () => {
    const messages: unknown[] = Array.from({ length: 1_000 }, (_, index) => ({ role: "user", content: String(index) }));
    expect(parseChatRequest({ model: "m", messages }, limits).job.messages.map(({ text }) => Number(text))).toEqual([...messages.keys()]);
    for (const at of [0, 255, 256, 999]) {
      const given = { model: "m", messages: messages.with(at, { role: "user", content: [{ type: "text" }] }) };
      expect(() => parseChatRequest(given, limits)).toThrow(`messages[${at}].content[0].text is required`);
    }
  });

  test("of a schema is one of these, unless its items may be anything", () => {
    const directory = join(root, "packages/frontend/src");
    const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith("-schema.ts"));
    expect(names).toHaveLength(3);
    for (const name of names) expect(readFileSync(join(directory, name), "utf8")).not.toMatch(/z\.array\((?!z\.unknown\(\)\))/);
  });
});
