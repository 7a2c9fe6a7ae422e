// The form of a script: what is wrong is named by path and value, and the published schema says the same.
import { Ajv2020 } from "ajv/dist/2020.js";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseScript } from "../../packages/mock-worker/src/script/read.ts";
import { readRules, scriptSchema } from "../../packages/mock-worker/src/script/schema.ts";
import { root } from "../support/cluster.ts";

const published = join(root, "packages/mock-worker/script.schema.json");
const validate = new Ajv2020({ strict: false }).compile(scriptSchema);
const one = (fixture: unknown): unknown => ({ fixtures: [fixture] });
const say = (response: unknown): unknown => one({ response });
const when = (match: unknown): unknown => one({ match, response: { content: "x" } });

describe("a script", () => {
  test.each<[string, unknown]>([
    ["without rules", { fixtures: [] }],
    ["with a schema for editors", { $schema: "./script.schema.json", fixtures: [] }],
    ["of a catch-all", one({ match: {}, response: { content: "hello" } })],
    [
      "of texts and expressions",
      when({ userMessage: "a", model: { regex: "^m", flags: "i" }, systemMessage: ["a", "b"] }),
    ],
    [
      "of what a conversation is",
      when({ turnIndex: 0, hasToolResult: false, toolCallId: "c", responseFormat: "text" }),
    ],
    ["of headers", when({ headers: { "X-Try": "1", "x-other": { regex: "." } }, context: "a" })],
    ["of an object as content", say({ content: { a: [1] } })],
    [
      "of calls",
      say({
        toolCalls: [
          { name: "f", arguments: { a: 1 } },
          { name: "g", arguments: "{}", id: "c" },
        ],
      }),
    ],
    [
      "of blocks",
      say({
        blocks: [
          { type: "text", text: "a", chunks: [1] },
          { type: "delay", ms: 5 },
          { type: "fault", fault: "cut" },
        ],
      }),
    ],
    [
      "of an error, with words of others",
      say({ error: { message: "no", type: "x", param: null }, status: 429, retryAfter: 7 }),
    ],
    [
      "of what others say of an answer",
      say({ content: "a", id: "x", model: "y", usage: { prompt_tokens: 1, total_tokens: 1 } }),
    ],
    ["of faults alone", one({ match: { model: "m" }, fault: "error:overloaded%0.1,cut@5", chaos: { dropRate: 0.5 } })],
    [
      "of times",
      one({ response: { content: "a" }, times: 2, latency: 1, streamingProfile: { ttft: 1, tps: 2, jitter: 0.1 } }),
    ],
    [
      "of times that were measured",
      one({
        response: { content: "a" },
        recordedTimings: { ttftMs: 1, interChunkDelaysMs: [2], totalDurationMs: 3 },
        replaySpeed: 2,
      }),
    ],
    [
      "with rules for others, whatever they say",
      {
        fixtures: [
          { match: { inputText: "a" }, response: { embedding: [1] } },
          { match: { endpoint: "image" }, response: { x: 1 } },
          { match: { a: 1 }, response: { audio: "" } },
        ],
      },
    ],
    ["of thinking, before the text or as a block", say({ reasoning: "hm", content: "a" })],
    ["of what was recorded", when({ requestHash: "sha256-0" })],
  ])("%s is taken", (_name, script) => {
    expect(() => readRules(script)).not.toThrow();
    expect(validate(script), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each<[unknown, string]>([
    [[], "a script must be an object with $schema, fixtures, got a list"],
    [{}, "fixtures must be a list of at most 10000, got undefined"],
    [{ fixtures: {} }, "fixtures must be a list of at most 10000, got a value of type object"],
    [{ fixtures: [], strict: true }, "strict is no field of a script; expected $schema, fixtures"],
    [one(3), "fixtures[0] must be an object with match, response,"],
    [when({ userMesage: "a" }), "fixtures[0].match.userMesage is no field of a script; did you mean userMessage?"],
    [when({ userMessage: 5 }), "fixtures[0].match.userMessage must be a text of at most 1000000 characters, got 5"],
    [
      when({ userMessage: { regex: "(" } }),
      'fixtures[0].match.userMessage.regex "(": expected a regular expression of RE2',
    ],
    [when({ userMessage: { regex: "(a)\\1" } }), "without backreferences and look-around"],
    [
      when({ userMessage: { regex: "a", flags: "g" } }),
      'fixtures[0].match.userMessage.flags must be one of "", "i", "m", "s",',
    ],
    [when({ turnIndex: "two" }), 'fixtures[0].match.turnIndex must be a whole number from 0 to 1000000000, got "two"'],
    [when({ hasToolResult: "yes" }), 'fixtures[0].match.hasToolResult must be true or false, got "yes"'],
    [when({ headers: { a: 1 } }), 'fixtures[0].match.headers["a"] must be a text of at most 1000000 characters, got 1'],
    [say({ contnt: "a" }), "fixtures[0].response.contnt is no field of a script; did you mean content?"],
    [say({ toolCalls: [{ name: "f" }] }), "fixtures[0].response.toolCalls[0].arguments must be"],
    [
      say({ blocks: [{ type: "tool" }] }),
      'fixtures[0].response.blocks[0].type must be one of text, reasoning, toolCall, delay, error, fault, got "tool"',
    ],
    [
      say({ blocks: [{ type: "fault", fault: "burn" }] }),
      'fixtures[0].response.blocks[0].fault must be one of "hang", "cut", "crash", "garbage", got "burn"',
    ],
    [
      say({ error: {}, status: 404 }),
      "fixtures[0].response.status must be one of 400, 413, 429, 500, 501, 503, 504, 529, got 404",
    ],
    [say({ status: 429 }), "fixtures[0].response.status means nothing without fixtures[0].response.error"],
    [
      say({ content: "a", retryAfter: 1 }),
      "fixtures[0].response.retryAfter means nothing without fixtures[0].response.error",
    ],
    [one({ fault: "explode" }), 'fixtures[0].fault "explode": expected KIND[:ARG]'],
    [one({ times: 0 }), "fixtures[0].times must be a whole number from 1 to 1000000000, got 0"],
    [one({ disconnectAfterMs: 5 }), "fixtures[0].disconnectAfterMs is no field of a script; expected match,"],
  ])("%j is refused", (script, message) => {
    expect(() => readRules(script)).toThrow(message);
    if (!/RE2|KIND|look-around/.test(message)) expect(validate(script)).toBe(false); // texts that are parsed are any to the schema
  });

  test("takes no RegExp of JavaScript, and says what it takes instead", () => {
    expect(() => readRules(when({ userMessage: /pay/ }))).toThrow(
      "fixtures[0].match.userMessage must be a text of at most 1000000 characters, or an object with regex, flags, got",
    );
  });

  test("may be JSON or YAML, and an error says where it is neither", () => {
    expect(parseScript('{"fixtures": []}')).toEqual({ fixtures: [] });
    expect(parseScript("fixtures:\n  - match: {userMessage: hi} # any\n    response: {content: hello}\n")).toEqual({
      fixtures: [{ match: { userMessage: "hi" }, response: { content: "hello" } }],
    });
    expect(() => parseScript('{"fixtures": [}')).toThrow(/^a script must be JSON or YAML: .*line 1, column 15/);
    expect(() => parseScript("fixtures:\n - a: [")).toThrow(/^a script must be JSON or YAML: .*line/);
  });

  test("has a schema that editors can take from the package", () => {
    const text = `${JSON.stringify(scriptSchema, undefined, 2)}\n`;
    if (process.env["UPDATE_DOCS"]) writeFileSync(published, text);
    expect(JSON.parse(readFileSync(published, "utf8"))).toEqual(scriptSchema);
  });
});
