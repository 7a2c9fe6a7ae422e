/** The form of a script, checked before anything of it is used. script.schema.json of this package says the same to editors. */
import type * as format from "./format.ts";
import { parseFaults } from "../faults/faults.ts";
import { compileRegex, maxRegexChars } from "./regex.ts";
import {
  anything,
  either,
  flag,
  isObject,
  list,
  number,
  object,
  oneOf,
  parsed,
  table,
  text,
  variants,
  whole,
  type Fields,
  type Shape,
} from "./shapes.ts";
import { statuses } from "./statuses.ts";

/** Rules of a script. */
export const maxFixtures = 10_000;
const maxChars = 1_000_000;
const maxParts = 1_000;
const maxTokens = 100_000;
const maxMs = 3_600_000;
const maxCount = 1_000_000_000;

const words = text(maxChars);
const name = text(256, 1);
const ms = number(0, maxMs);
const count = whole(0, maxCount);
const share = number(0, 1);
const counts = list(whole(0, maxChars), maxTokens);
const retryAfter = number(0, 86_400);
const status = oneOf(...[...statuses.keys()].toSorted((one, other) => one - other));

const regex = object(
  {
    regex: parsed(maxRegexChars, compileRegex),
    flags: oneOf("", "i", "m", "s", "im", "is", "ms", "ims"),
  } satisfies Fields<Exclude<format.Pattern, string>>,
  { required: ["regex"] },
);
// A RegExp of JavaScript is none of them: the error says all that is.
const byNature = (value: unknown): number =>
  value instanceof RegExp ? -1 : Array.isArray(value) ? 2 : isObject(value) ? 1 : 0;
const pattern = either(byNature, words, regex);

const match = object({
  userMessage: pattern,
  systemMessage: either(byNature, words, regex, list(words, 100)),
  toolName: name,
  toolCallId: name,
  toolResultContains: words,
  hasToolResult: flag,
  turnIndex: count,
  sequenceIndex: count,
  model: pattern,
  responseFormat: oneOf("text", "json_object", "json_schema"),
  headers: table(pattern, 32),
  context: text(1_000),
  requestHash: text(100),
  endpoint: text(64),
  inputText: anything,
} satisfies Fields<format.FixtureMatch & { readonly inputText?: unknown }>);

type Kind<Type> = Extract<format.FixtureBlock, { type: Type }>;
type Spoken = Kind<"text" | "reasoning">;

const call = { name, arguments: anything, id: name, kind: oneOf("function", "custom") };
const error = object(
  {
    message: text(10_000),
    code: text(64, 1),
    param: either((value) => (value === null ? 1 : 0), text(256), oneOf(null)),
  } satisfies Fields<format.FixtureError>,
  { ignored: ["type", "metadata"] },
);
const spoken = { text: words, chunks: counts };
const block = variants("type", {
  text: object({ type: oneOf("text"), ...spoken } satisfies Fields<Spoken>, { required: ["type", "text"] }),
  reasoning: object({ type: oneOf("reasoning"), ...spoken } satisfies Fields<Spoken>, {
    required: ["type", "text"],
  }),
  toolCall: object({ type: oneOf("toolCall"), ...call, chunks: counts } satisfies Fields<Kind<"toolCall">>, {
    required: ["type", "name", "arguments"],
  }),
  delay: object({ type: oneOf("delay"), ms } satisfies Fields<Kind<"delay">>, { required: ["type", "ms"] }),
  error: object({ type: oneOf("error"), error, status, retryAfter } satisfies Fields<Kind<"error">>, {
    required: ["type", "error"],
  }),
  fault: object(
    { type: oneOf("fault"), fault: oneOf("hang", "cut", "crash", "garbage") } satisfies Fields<Kind<"fault">>,
    { required: ["type", "fault"] },
  ),
});

const usageDetails = {
  ignored: ["audio_tokens", "cache_write_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"],
};
const usage = object(
  {
    prompt_tokens: count,
    completion_tokens: count,
    input_tokens: count,
    output_tokens: count,
    prompt_tokens_details: object(
      { cached_tokens: count } satisfies Fields<{ readonly cached_tokens?: number }>,
      usageDetails,
    ),
    completion_tokens_details: object(
      { reasoning_tokens: count } satisfies Fields<{ readonly reasoning_tokens?: number }>,
      usageDetails,
    ),
  } satisfies Fields<format.FixtureUsage>,
  {
    ignored: [
      "total_tokens",
      "promptTokenCount",
      "candidatesTokenCount",
      "totalTokenCount",
      "cost",
      "cost_details",
      "is_byok",
    ],
  },
);

const response = object(
  {
    content: anything,
    reasoning: words,
    toolCalls: list(object(call satisfies Fields<format.FixtureCall>, { required: ["name", "arguments"] }), 128),
    blocks: list(block, maxParts),
    error,
    status,
    retryAfter,
    usage,
    finishReason: oneOf("stop", "length", "content_filter", "tool_calls"),
  } satisfies Fields<format.FixtureResponse>,
  {
    needs: { status: "error", retryAfter: "error" },
    ignored: [
      "id",
      "created",
      "model",
      "role",
      "systemFingerprint",
      "provider",
      "nativeFinishReason",
      "reasoningSignature",
      "redactedThinking",
      "webSearches",
      "fallthrough",
    ],
  },
);

const fixture = object(
  {
    match,
    response,
    times: whole(1, maxCount),
    fault: parsed(1_000, parseFaults),
    latency: ms,
    chunkSize: whole(1, maxChars),
    streamingProfile: object({
      ttft: ms,
      tps: number(0.001, 1_000_000),
      jitter: share,
    } satisfies Fields<format.StreamingProfile>),
    recordedTimings: object(
      {
        ttftMs: ms,
        interChunkDelaysMs: list(ms, maxTokens),
        totalDurationMs: number(0, maxMs * 24),
      } satisfies Fields<format.RecordedTimings>,
      { required: ["ttftMs", "interChunkDelaysMs"] },
    ),
    replaySpeed: number(0.001, 1_000_000),
    truncateAfterChunks: count,
    chaos: object({ dropRate: share, malformedRate: share, disconnectRate: share } satisfies Fields<format.Chaos>),
  } satisfies Fields<format.Fixture>,
  { ignored: ["metadata", "openRouterProcessing"] },
);

/** What rules for other endpoints are answered with. */
const foreign = ["embedding", "image", "images", "audio", "transcription", "video", "json"];

/** True for a rule that speaks of something other than a conversation. Of those nothing is looked at. */
function isForeign(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { match: matched, response: answer } = value;
  if (isObject(matched) && (matched["inputText"] !== undefined || (matched["endpoint"] ?? "chat") !== "chat"))
    return true;
  return isObject(answer) && foreign.some((key) => answer[key] !== undefined);
}

const others: Shape = {
  expected: "a rule for another endpoint",
  schema: {
    type: "object",
    anyOf: [
      { required: ["match"], properties: { match: { type: "object", required: ["inputText"] } } },
      {
        required: ["match"],
        properties: {
          match: { type: "object", required: ["endpoint"], properties: { endpoint: { not: { const: "chat" } } } },
        },
      },
      ...foreign.map((key) => ({
        required: ["response"],
        properties: { response: { type: "object", required: [key] } },
      })),
    ],
  },
  check: () => undefined,
};

const script = object(
  {
    $schema: anything,
    fixtures: list(
      either((value) => (isForeign(value) ? 1 : 0), fixture, others),
      maxFixtures,
    ),
  } satisfies Fields<format.Script & { readonly $schema?: unknown }>,
  { required: ["fixtures"] },
);

/** JSON Schema of a script, for editors and other programs. */
export const scriptSchema: Readonly<Record<string, unknown>> = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "A script of dyn-mock-worker",
  ...script.schema,
};

/** The rules of a script that are for this mock, each with its place in the script. @throws RuntimeError `invalid_argument` naming the path and the value that is wrong. */
export function readRules(value: unknown): readonly (readonly [index: number, rule: format.Fixture])[] {
  script.check(value, "");
  const { fixtures } = value as format.Script; // the check has seen all of it
  return [...fixtures.entries()].filter(([, rule]) => !isForeign(rule));
}
