// Every bound of a field: what the official APIs take is taken, and the next value is refused by the field's name. The bounds are those of OpenAI's
// OpenAPI description (openai/openai-openapi, August 2026) and of the types of @anthropic-ai/sdk; where these have none, a comment says whose it is.
import { describe, expect, test } from "vitest";
import { frontendSettings } from "../../packages/frontend/src/settings/frontend-settings.ts";
import { limits, maxInt64, minInt64, parse, problemOf, type Api } from "./one-field.ts";

const long = 100_000;
const list = (count: number, item: unknown): string => JSON.stringify(Array.from({ length: count }, () => item));
const both = ["chat", "completions"] as const;
const tool = { type: "function", function: { name: "f" } };
const user = { role: "user", content: "hi" };

type Case = readonly [
  apis: readonly Api[],
  field: string,
  taken: readonly string[],
  refused: readonly (readonly [json: string, words: string])[],
];
const cases: readonly Case[] = [
  [
    both,
    "temperature",
    ["0", "2", "0.1", "null"],
    [
      ["-0.001", "must be at least 0"],
      ["2.001", "must be at most 2"],
      ["1e400", "must be a number"],
      ["99999999999999999999", "is out of range"],
    ],
  ],
  [
    ["messages"],
    "temperature",
    ["0", "1", "null"],
    [
      ["-0.001", "must be at least 0"],
      ["1.001", "must be at most 1"],
    ],
  ],
  [
    [...both, "messages"],
    "top_p",
    ["0", "1", "null"],
    [
      ["-0.001", "must be at least 0"],
      ["1.001", "must be at most 1"],
    ],
  ],
  [
    ["messages"],
    "top_k",
    ["0", maxInt64, "null"],
    [
      ["-1", "must be at least 0"],
      ["0.5", "must be a whole number"],
    ],
  ],
  [
    both,
    "frequency_penalty",
    ["-2", "2", "null"],
    [
      ["-2.001", "must be at least -2"],
      ["2.001", "must be at most 2"],
    ],
  ],
  [
    both,
    "presence_penalty",
    ["-2", "2", "null"],
    [
      ["-2.001", "must be at least -2"],
      ["2.001", "must be at most 2"],
    ],
  ],
  [
    both,
    "seed",
    [minInt64, "-1", "0", "9007199254740993", maxInt64, "1e18", "7.0", "null"],
    [
      ["9223372036854775808", `must be at most ${maxInt64}`],
      ["-9223372036854775809", `must be at least ${minInt64}`],
      ["1e300", `must be at most ${maxInt64}`],
      ["0.5", "must be a whole number"],
      ['"7"', "must be a whole number"],
    ],
  ],
  [
    ["chat"],
    "max_tokens",
    ["0", "1", maxInt64, "1e30", "null"],
    [
      ["-1", "must be at least 0"],
      ["1.5", "must be a whole number"],
    ],
  ],
  [["chat"], "max_completion_tokens", ["0", "1", maxInt64, "null"], [["-1", "must be at least 0"]]],
  [["completions"], "max_tokens", ["0", maxInt64, "null"], [["-1", "must be at least 0"]]],
  [
    ["messages"],
    "max_tokens",
    ["0", "1", maxInt64],
    [
      ["-1", "must be at least 0"],
      ["null", "must be a whole number"],
    ],
  ],
  [
    both,
    "n",
    ["1", "128", "null"],
    [
      ["0", "must be at least 1"],
      ["129", "must be at most 128"],
      ["99999999999999999999", "is out of range"],
    ],
  ],
  [
    ["completions"],
    "best_of",
    ["0", "1", "null"],
    [
      ["-1", "must be at least 0"],
      ["2", "is only supported when equal to n"],
    ],
  ],
  [
    both,
    "stop",
    ["null", '""', "[]", list(4, "x"), JSON.stringify("x".repeat(long))],
    [[list(5, "x"), "must have at most 4 items, not 5"]],
  ],
  // The types have no limit; the number is ours, because each costs its share of every character.
  [
    ["messages"],
    "stop_sequences",
    ["null", "[]", list(1_024, "x"), JSON.stringify(["x".repeat(long)])],
    [
      [list(1_025, "x"), "must have at most 1024 items, not 1025"],
      ['[""]', "must not be empty"],
    ],
  ],
  [["chat"], "tools", ["null", "[]", list(1_025, tool)], [["{}", "must be a list"]]],
  [
    ["messages", "count"],
    "tools",
    ["null", "[]", list(1_025, { name: "f", input_schema: {} })],
    [["{}", "must be a list"]],
  ],
  [
    ["chat", "messages", "count"],
    "messages",
    [list(100_000, user)],
    [
      [list(100_001, user), "must have at most 100000 items, not 100001"],
      ["[]", "must not be empty"],
    ],
  ],
  [
    ["chat"],
    "top_logprobs",
    ["0", "null"],
    [
      ["-1", "must be at least 0"],
      ["21", "must be at most 20"],
    ],
  ],
  [
    ["completions"],
    "logprobs",
    ["0", "20", "null"],
    [
      ["-1", "must be at least 0"],
      ["21", "must be at most 20"],
    ],
  ],
  [["completions"], "suffix", ['""', "null"], [['"x"', "is not supported"]]],
  // Names of models, vocabularies and batches are bounded by what there is here.
  [
    ["completions"],
    "prompt",
    ["null", '""', "[0,4294967295]", list(1_024, "x")],
    [
      ["[-1]", "must be"],
      ["[4294967296]", "must be"],
      ["[]", "must"],
      [list(1_025, "x"), "must"],
    ],
  ],
  [
    ["chat", "completions", "messages", "count"],
    "model",
    [JSON.stringify("x".repeat(256))],
    [[JSON.stringify("x".repeat(257)), "must have at most 256 characters, not 257"]],
  ],
  // Not read, so not refused either: whatever the official APIs take passes.
  [both, "logit_bias", ['{"1":-100,"2":100}'], []],
  [both, "user", [JSON.stringify("x".repeat(512))], []],
  [
    ["chat"],
    "metadata",
    [JSON.stringify(Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`k${at}`, "v".repeat(512)])))],
    [],
  ],
  [["messages"], "metadata", [JSON.stringify({ user_id: "x".repeat(256) })], []],
];
const flat = cases.flatMap(([names, field, taken, refused]) => names.map((api) => ({ api, field, taken, refused })));

describe.each(flat)("$api $field", ({ api, field, taken, refused }) => {
  test("is taken up to its bounds, and refused by its name beyond them", () => {
    for (const json of taken) expect(() => parse(api, field, json), json.slice(0, 64)).not.toThrow();
    for (const [json, words] of refused) {
      const { param, message } = problemOf(api, field, json);
      expect(message).toContain(words);
      expect(param?.startsWith(field)).toBe(true);
    }
  });
});

test("a request may have as many messages as Anthropic's, unless told otherwise", () => {
  expect(frontendSettings.httpMaxMessages.default).toBe(limits.maxMessages);
});
