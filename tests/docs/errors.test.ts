// docs/errors.md is generated from the table of codes; this keeps it so. Regenerate: UPDATE_DOCS=1 npx vitest run tests/docs/errors.test.ts
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  toErrorBody as toAnthropicBody,
  toErrorEvent as toAnthropicEvent,
} from "../../packages/frontend/src/anthropic/errors.ts";
import { FieldError } from "../../packages/frontend/src/inference/fields.ts";
import { malformedRequests } from "../../packages/runtime/src/http/malformed.ts";
import { toErrorBody, toErrorEvent } from "../../packages/frontend/src/openai/errors.ts";
import { errorTable, type ErrorCode } from "../../packages/runtime/src/error-table.ts";
import { maxDetailsBytes, RuntimeError } from "../../packages/runtime/src/errors.ts";
import { toErrorHeaders } from "../../packages/runtime/src/http/reply.ts";
import { toRuntimeError } from "../../packages/runtime/src/thrown.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import { root } from "../support/cluster.ts";

const page = join(root, "docs/errors.md");
const codes = Object.keys(errorTable) as ErrorCode[];
const id = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";

function shown(text: string | null): string {
  return text === null ? "null" : `\`${text}\``;
}

function toRow(code: ErrorCode): string {
  const { status, openai, anthropic, metric, retryable, publicMessage, meaning } = errorTable[code];
  const said = publicMessage === undefined ? "" : `; clients read "${publicMessage}"`;
  return `| \`${code}\` | ${status} | ${shown(openai[0])} | ${shown(openai[1])} | \`${anthropic}\` | \`${metric}\` | ${retryable ? "yes" : ""} | ${meaning}${said} |`;
}

const example = new FieldError("temperature", "must be at most 2", "decimal_above_max_value");
const details = [...new Map(codes.map((code) => [errorTable[code].metric, errorTable[code].detail]))];

const limited = new RuntimeError("rate_limited", "the upstream takes no more for now", {
  apiCode: "tokens_per_minute",
  details: { limit: 200_000 },
  retryAfterMs: 6_500,
});
const passedOn = [
  `HTTP/1.1 ${limited.traits.status} Too Many Requests`,
  ...Object.entries(toErrorHeaders(limited)).map(([name, value]) => `${name}: ${value}`),
  "",
  JSON.stringify(toErrorBody(limited)),
].join("\n");

const expected = `# Errors

Every failure has one code of a closed set. The code decides what a client sees, what the log and the metrics say, and whether another worker is tried. For example, a model that nobody serves is \`not_found\`:

\`\`\`console
$ curl -s http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"gpt-9","messages":[{"role":"user","content":"hello"}]}'
${JSON.stringify(toErrorBody(new RuntimeError("not_found", 'model "gpt-9" does not exist: no worker has registered it, see GET /v1/models')))}
\`\`\`

## Codes

| code | HTTP | OpenAI \`type\` | OpenAI \`code\` | Anthropic \`type\` | \`error_type\` | tried elsewhere | when |
| --- | --- | --- | --- | --- | --- | --- | --- |
${codes.map(toRow).join("\n")}

An answer with 401 has \`www-authenticate: Bearer\`. One with 415 has \`accept\`, or \`accept-encoding\` if the \`content-encoding\` is what is wrong.

A worker and its engine may end a request with ${[...workerCodes].map(shown).join(", ")}. Any other code from them becomes \`internal\`, and the log names it, because an engine that answers \`unauthenticated\` has not read the client's key.

"Tried elsewhere" means before anything has been delivered. If no other worker takes the request, the answer has \`retry-after: 1\`, or what the error itself says. The official clients try any 5xx again by themselves; \`unimplemented\` has \`x-should-retry: false\`, which they obey. \`poisoned\` is a 400, since each further try might take two more workers: none of the clients tries that again. [Routing and failure](routing-and-failure.md#poisoned-requests) says when a request is called that.

\`error_type\` is on the line \`request completed\` and on \`requests_total\`; the log has a fixed sentence beside it:

| \`error_type\` | \`error_detail\` |
| --- | --- |
${details.map(([metric, detail]) => `| \`${metric}\` | ${detail} |`).join("\n")}

The sentences are Dynamo's, one for each type, so they say less than \`error\` beside them: a worker lost in mid-stream has "no backend worker available", too. Read \`error\`.

## Shapes

OpenAI's, on all paths but those below. \`param\` names the field and \`code\` says what is wrong with it, in OpenAI's words; for other errors \`param\` is null:

\`\`\`json
${JSON.stringify(toErrorBody(example))}
\`\`\`

Anthropic's, on \`/v1/messages\` and paths below it; for clients that send the header \`anthropic-version\` also on \`/v1/models…\` and paths that are not served:

\`\`\`json
${JSON.stringify(toAnthropicBody(example, id))}
\`\`\`

Both come with the headers \`request-id\` and \`x-request-id\`, and as \`application/json\`.

## Bytes that are not HTTP

Bytes that do not make an HTTP request have no path and no ids. They are answered as \`invalid_argument\`, with 501 as \`unimplemented\`, in OpenAI's shape, with ids of our own, and the connection is closed:

| HTTP | message |
| --- | --- |
${Object.values(malformedRequests)
  .map(({ status, message }) => `| ${status} | ${message} |`)
  .join("\n")}

(The first one ends with the limit, "of 16384 bytes".) A request that can be read but [is refused](limits.md#what-is-refused) for its headers has ids of its own and the shape of its path. It is mostly \`invalid_argument\` with the status that is listed there; an encoding that is not served is \`unimplemented\`.

## In a stream

Before the [headers of a stream](http-api.md#streams) are out a failure is a plain answer with its own status. From then on it ends the stream with an event of the same shape:

\`\`\`
${toErrorEvent(new RuntimeError("disconnected", "")).trimEnd()}
\`\`\`

without \`[DONE]\` after it, or for messages

\`\`\`
${toAnthropicEvent(new RuntimeError("disconnected", ""), id).trimEnd()}
\`\`\`

## From a worker

A handler that throws \`new RuntimeError(code, message)\` chooses the code. The message reaches the client unless the table says otherwise. Anything else that is thrown is \`internal\`, and only the worker's log has its text. The same holds for the text of a \`TimeoutError\`, which is \`deadline_exceeded\`.

An engine that asks another service can pass on what that said:

\`\`\`ts
throw new RuntimeError("rate_limited", "the upstream takes no more for now", {
  apiCode: "tokens_per_minute",
  details: { limit: 200_000 },
  retryAfterMs: 6_500,
  cause: error,
});
\`\`\`

\`\`\`
${passedOn}
\`\`\`

| option | |
| --- | --- |
| \`details\` | facts, plain data of at most ${maxDetailsBytes} bytes as msgpack. The caller has them as \`error.details\`; HTTP clients have them as JSON in the error (64-bit integers and bytes, in base64, as texts), unless the table hides the message. Details that cannot be sent are left out, and a line of the worker says why |
| \`apiCode\`, \`param\` | \`code\` and \`param\` of OpenAI's error, in place of the table's code and null |
| \`retryAfterMs\` | \`retry-after\` of the HTTP answer, in whole seconds, rounded up |
| \`retryable\` | whether another instance may be tried before anything has been delivered, as the last word of the handler. Without it the code decides, [where the request may run twice](routing-and-failure.md#retries) |
| \`publicMessage\` | what clients read in place of the message |
| \`cause\` | for the log alone |

An option out of its bounds, or one that is not in the table, is a \`TypeError\` where the error is made, which names it.

No message for clients names an address, a host or a file of the inside, or quotes other software; a handler's own messages are as its author wrote them. On the plane the code travels in [ERROR](wire-format.md#error).
`;

test("the page of errors says what the code does", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, expected);
  expect(readFileSync(page, "utf8")).toBe(expected);
});

test("an error may have a text of its own for clients, unless its code has one", () => {
  const said = (code: ErrorCode): string =>
    toErrorBody(new RuntimeError(code, "10.0.0.7 is full", { publicMessage: "it is full" })).error.message;
  expect([said("overloaded"), said("disconnected")]).toEqual(["it is full", errorTable.disconnected.publicMessage]);
});

test("codes that hide their message hide it in both shapes", () => {
  for (const code of codes) {
    const error = new RuntimeError(code, "10.0.0.7:1234 is secret");
    const isHidden = errorTable[code].publicMessage !== undefined;
    expect(JSON.stringify([toErrorBody(error), toAnthropicBody(error, id)]).includes("secret")).toBe(!isHidden);
  }
});

test("what foreign code throws keeps its meaning", () => {
  expect(toRuntimeError(new DOMException("late", "TimeoutError")).code).toBe("deadline_exceeded");
  expect(toRuntimeError(new DOMException("left", "AbortError")).code).toBe("cancelled");
  expect(toRuntimeError(new TypeError("x"))).toMatchObject({ code: "internal", cause: expect.any(TypeError) });
  expect(toRuntimeError("text").code).toBe("internal");
});
