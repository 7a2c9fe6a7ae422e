/** HTTP bodies of every API, from bytes to the job that a worker would be sent; and discovery records. */
import { parseCountRequest, parseMessagesRequest } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import { peekModel, peekStream } from "../../packages/frontend/src/inference/fields.ts";
import { parseJsonBody } from "../../packages/frontend/src/http/body.ts";
import { findJsonProblem } from "../../packages/frontend/src/http/json-position.ts";
import { parseChatRequest } from "../../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../../packages/frontend/src/openai/completions-schema.ts";
import { bucketOf, parseRecord, recordKey } from "../../packages/runtime/src/discovery/records.ts";
import { countPromptTokens } from "../../packages/runtime/src/llm/tokens.ts";
import { decodePayload, encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { mutateJson } from "./mutate-json.ts";
import { assertThat, isSame, type Target } from "./target.ts";

/** Clients read it, and so does whoever has the log. */
const maxMessageChars = 1_000;

function parseBody(bytes: Buffer): unknown {
  assertThat(
    isJson(bytes.toString()) === (findJsonProblem(bytes.toString()) === undefined),
    "there are two opinions on what JSON is",
  );
  const body = parseJsonBody(bytes);
  peekModel(body);
  peekStream(body);
  return body;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function assertBrief(thrown: unknown): void {
  assertThat(
    !(thrown instanceof Error) || thrown.message.length <= maxMessageChars,
    `an error of ${String(thrown).length} characters`,
  );
}

function feedBody(bytes: Buffer, feed: (body: unknown) => void): void {
  try {
    feed(parseBody(bytes));
  } catch (thrown) {
    assertBrief(thrown);
    throw thrown;
  }
  assertThat(!("polluted" in {}) && !("model" in {}) && !("stream" in {}), "a body has changed all objects");
}

// What the worker is sent is what the client has asked.
function assertTravels({ job }: { readonly job: object }): void {
  assertThat(isSame(decodePayload(encodePayload(job), "job"), job), "a job is not what it was at the worker");
}

const limits = { maxMessages: 1_000, maxCompletions: 256, maxEchoBytes: 1_048_576 };

const bodies: Readonly<Record<string, (body: unknown) => void>> = {
  chat: (body) => assertTravels(parseChatRequest(body, limits)),
  completions: (body) => assertTravels(parseCompletionRequest(body, limits)),
  messages: (body) => assertTravels(parseMessagesRequest(body, limits)),
  "count-tokens"(body) {
    assertThat(
      Number.isSafeInteger(countPromptTokens(parseCountRequest(body, limits).job)),
      "a count of tokens is no count",
    );
  },
};

function feedRecord(bytes: Buffer): void {
  const record = parseRecord(bytes.toString());
  bucketOf(record);
  assertThat(/^(?:[a-z0-9_-]{1,128}\/){3}[0-9a-f]{1,16}$/.test(recordKey(record)), "a record has a key that is none");
}

export const bodyTargets: readonly Target[] = [
  ...Object.entries(bodies).map(([name, feed]): Target => ({
    name,
    codes: ["invalid_argument"],
    corpus: [],
    mutate: mutateJson,
    feed: (bytes) => feedBody(bytes, feed),
  })),
  { name: "records", codes: ["protocol"], corpus: [], mutate: mutateJson, feed: feedRecord },
];
