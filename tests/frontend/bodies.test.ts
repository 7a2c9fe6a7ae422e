// Bodies as large as they may be: what they hold must not cost far more than their bytes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseMessagesRequest } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import { parseJsonBody } from "../../packages/frontend/src/http/body.ts";
import { parseChatRequest } from "../../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../../packages/frontend/src/openai/completions-schema.ts";
import { endOfJsonString } from "../../packages/runtime/src/llm/json-size.ts";
import { root } from "../support/cluster.ts";

const largest = 32 * 1024 * 1024;
/** Of one list, beside the few others of a body. */
const manyItems = 2_097_100;

function fill(before: string, repeated: string, after: string, times?: number): Buffer {
  const most = Math.floor((largest - before.length - after.length) / repeated.length);
  return Buffer.concat([
    Buffer.from(before),
    Buffer.alloc((times ?? most) * repeated.length, repeated),
    Buffer.from(after),
  ]);
}

const limits = { maxMessages: 100_000, maxCompletions: 1_000, maxEchoBytes: 1_048_576 };

const parse = (body: Buffer): unknown => parseJsonBody(body);

type ParseFields = (body: unknown, fieldLimits: typeof limits) => unknown;

describe("a body as large as it may be", () => {
  test.each<[string, Buffer, string]>([
    [
      "token ids without end",
      fill('{"model":"m","prompt":[', "1,", "1]}"),
      "the request body holds more than 2097152 values",
    ],
    ["objects without end", fill("[", "{},", "{}]"), "the request body holds more than 131072 lists and objects"],
    ["fields without end", fill("{", '"a":1,', '"a":1}'), "the request body holds more than 262144 fields"],
    ["lists in lists", fill("", "[", ""), "the request body is nested deeper than 1000 levels"],
    [
      "nothing but lines",
      fill("", "\n", "x"),
      "unexpected character at position 33554431 of 33554432 (line 33554432, column 1)",
    ],
    ["a text without end", fill('{"a":"', '\\"', ""), "it ends too early, after 33554432 characters"],
  ])("of %s is refused for that, and not parsed", (_name, body, message) => {
    expect(() => parse(body)).toThrow(message);
  });

  test.each<[string, ParseFields, Buffer, string]>([
    [
      "messages that are none",
      parseChatRequest,
      fill('{"model":"m","messages":[', "1,", "1]}", manyItems),
      "messages[0] must be an object",
    ],
    [
      "prompts that are none",
      parseCompletionRequest,
      fill('{"model":"m","prompt":[', "null,", "1]}", manyItems),
      "prompt must be a string, a list",
    ],
    [
      "token ids",
      parseCompletionRequest,
      fill('{"model":"m","prompt":[', "1,", "1]}", manyItems),
      "prompt must have at most 1048576 items, not 2097101",
    ],
    [
      "token ids and something else",
      parseCompletionRequest,
      fill('{"model":"m","prompt":[', "1,", '"a"]}', 1_048_575),
      "prompt[1048575] must be a number",
    ],
    [
      "content that is none",
      parseMessagesRequest,
      fill('{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[', "1,", "1]}]}", manyItems),
      "[0]",
    ],
  ])("of %s is refused for what is wrong first", (_name, parseRequest, body, message) => {
    expect(() => parseRequest(parse(body), limits)).toThrow(message);
  });

  test("with everything in texts is taken", () => {
    const body = parse(fill('{"model":"m","messages":[{"role":"user","content":"', '[{:\\"\\\\', '"}]}'));
    expect(parseChatRequest(body, limits).job.messages[0]?.text.length).toBeGreaterThan(largest / 2);
  });

  test("may have as many messages, and as many token ids, as any client can need", () => {
    const messages = parse(
      fill('{"model":"m","messages":[', '{"role":"user","content":"hi"},', '{"role":"user","content":"hi"}]}', 99_999),
    );
    expect(parseChatRequest(messages, limits).job.messages).toHaveLength(100_000);
    const ids = parse(fill('{"model":"m","prompt":[', "4294967295,", "0]}", 1_048_575));
    expect(parseCompletionRequest(ids, limits).job.prompt?.tokenIds).toHaveLength(1_048_576);
  });
});

test("a text in JSON ends where it ends, however many quotes and backslashes stand in it", () => {
  const piece = fc.oneof(
    fc.constantFrom("\\", '"', "\\\\\\", '\\"'),
    fc.integer({ min: 1, max: 200 }).map((length) => "x".repeat(length)),
  );
  const texts = fc.array(piece, { maxLength: 12 }).map((pieces) => JSON.stringify(pieces.join("")));
  fc.assert(
    fc.property(texts, fc.string(), (text, rest) => {
      expect(endOfJsonString(Buffer.from(`${text}"${rest}`), 0)).toBe(text.length - 1);
      expect(endOfJsonString(Buffer.from(text.slice(0, -1)), 0)).toBe(text.length - 1);
    }),
  );
});

test("whole numbers beyond 2^53 keep their digits, in as many fields as an API could have", () => {
  const body = (count: number): string =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1e20])));
  const exact = (text: string): unknown =>
    parse(Buffer.from(text.replaceAll("100000000000000000000", "12345678901234567890")));
  expect(Object.values(exact(body(64)) as object)).toEqual(
    Array.from({ length: 64 }, () => 12_345_678_901_234_567_890n),
  );
  expect(() => exact(body(65))).toThrow("the request body has more than 64 fields with whole numbers beyond 2^53");
  const odd = exact(
    '{"__proto__":100000000000000000000,"a":[100000000000000000000],"b":1,"\\u0062":100000000000000000000}',
  );
  expect(Object.entries(odd as object)).toEqual([
    ["__proto__", 12_345_678_901_234_567_890n],
    ["a", [12_345_678_901_234_567_000]],
    ["b", 12_345_678_901_234_567_890n],
  ]);
  expect(Object.getPrototypeOf(odd)).toBe(Object.prototype);
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
    expect(parseChatRequest({ model: "m", messages }, limits).job.messages.map(({ text }) => Number(text))).toEqual([
      ...messages.keys(),
    ]);
    for (const at of [0, 255, 256, 999]) {
      const given = { model: "m", messages: messages.with(at, { role: "user", content: [{ type: "text" }] }) };
      expect(() => parseChatRequest(given, limits)).toThrow(`messages[${at}].content[0].text is required`);
    }
  });

  test("of a schema is one of these", () => {
    const directory = join(root, "packages/frontend/src");
    const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) =>
      /^(?:openai|anthropic)\/.*-schema\.ts$/.test(name),
    );
    expect(names).toHaveLength(3);
    for (const name of names) expect(readFileSync(join(directory, name), "utf8")).not.toContain("z.array(");
  });
});
