/** Headers that matter, of requests and of answers. */
import type { Header, Parameter, Reference } from "./openapi.ts";

const instanceId = { type: "string", pattern: "^(0|[1-9][0-9]{0,19})$" } as const;

function header(name: string, description: string, schema: Parameter["schema"] = { type: "string" }): Parameter {
  return { name, in: "header", description, schema };
}

/** Of requests, by the name they have in the document. */
export const requestHeaders: Readonly<Record<string, Parameter>> = {
  RequestId: header(
    "request-id",
    "A UUID that becomes the request's id. Any other value, and the id of a request that still runs, is replaced (with `--strict-request-id` it is a 400).",
    { type: "string", format: "uuid" },
  ),
  ClientRequestId: header(
    "x-request-id",
    "The client's own id, echoed. A value that is not visible ASCII of at most 256 characters is ignored.",
    { type: "string", pattern: "^[!-~]{1,256}$" },
  ),
  Traceparent: header("traceparent", "W3C trace context: the caller's trace and span. A malformed value is ignored.", {
    type: "string",
    examples: ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
  }),
  Tracestate: header("tracestate", "W3C trace context, handed on."),
  Baggage: header("baggage", "W3C baggage, of which the keys that `--baggage-keys` names are handed to workers."),
  RequestTimeout: header(
    "x-request-timeout-ms",
    "Most time for the whole answer, milliseconds. It can be less than `--request-timeout-ms`, not more.",
    { type: "integer", minimum: 1, maximum: 86_400_000 },
  ),
  WorkerInstance: header(
    "x-worker-instance-id",
    "The one worker to ask: its instance id, decimal, of 64 bits.",
    instanceId,
  ),
  PrefillInstance: header(
    "x-prefill-instance-id",
    "The one worker to ask for the prompt, of a disaggregated model.",
    instanceId,
  ),
  ContentEncoding: header(
    "content-encoding",
    "Up to three of `gzip`, `deflate`, `br` and `zstd`, separated by commas, in which the body is packed.",
  ),
  AnthropicVersion: header(
    "anthropic-version",
    "Any value: the answer, and errors, have the shape of Anthropic's API.",
  ),
  IfNoneMatch: header("if-none-match", "The `etag` of an earlier answer: the same page is a 304 without a body."),
};

const seconds = { type: "string", pattern: "^[0-9]+$" } as const;

/** Of answers, by the name they have in the document. */
export const answerHeaders: Readonly<Record<string, Header>> = {
  "request-id": { description: "Ours: every log line of the request has it.", schema: { type: "string" } },
  "x-request-id": { description: "The client's own id, or else ours.", schema: { type: "string" } },
  "retry-after": { description: "Another try is worth it after so many seconds.", schema: seconds },
  "x-should-retry": { description: "Another try is of no use.", schema: { type: "string", const: "false" } },
  "www-authenticate": { description: "How to send a key.", schema: { type: "string", const: "Bearer" } },
  allow: { description: "The methods of the path.", schema: { type: "string" } },
  accept: { description: "Types that can be read, if the type is what is wrong.", schema: { type: "string" } },
  "accept-encoding": {
    description: "Codings that can be read, if `content-encoding` is what is wrong.",
    schema: { type: "string" },
  },
  etag: { description: "Changes with the page.", schema: { type: "string" } },
};

/** Those that every answer has. */
export const everyAnswer = ["request-id", "x-request-id"] as const;

export function toParameters(names: readonly string[]): readonly Reference[] {
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

export function toHeaders(names: readonly string[]): Readonly<Record<string, Reference>> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
