/** One route as an operation of the document. */
import type { JsonSchema } from "../inference/described.ts";
import { toErrorResponse, toFailures, type ErrorResponse } from "./failures.ts";
import { everyAnswer, toHeaders, toParameters } from "./headers.ts";
import { toReference } from "./json-schema.ts";
import type { MediaType, Operation, Response } from "./openapi.ts";
import type { AnswerWords, EventStreamWords, RouteWords, StreamEvent } from "./words.ts";

const headersOfAll = ["RequestId", "ClientRequestId", "Traceparent", "Tracestate", "Baggage"];

export interface OperationLimits {
  readonly maxBodyBytes: number;
  /** HTTP status of `overloaded`. */
  readonly overloadStatus: number;
}

export interface Described {
  readonly operation: Operation;
  /** Responses it refers to. */
  readonly errors: readonly ErrorResponse[];
}

export function toOperation(
  words: RouteWords,
  security: Operation["security"],
  { overloadStatus, maxBodyBytes }: OperationLimits,
): Described {
  const { id, tag, summary, description, parameters = [], headers = [], body, answers } = words;
  const errors = toErrors(words, security.length > 0, overloadStatus);
  return {
    errors: [...errors.values()],
    operation: {
      operationId: id,
      summary,
      description,
      tags: [tag],
      security,
      parameters: [...parameters, ...toParameters([...headers, ...headersOfAll])],
      ...(body && {
        requestBody: {
          description: `At most ${maxBodyBytes} bytes, ${maxBodyBytes / 2 ** 20} MiB.`,
          required: true,
          content: { "application/json": { schema: refer(body.schema), examples: toExamples(body.examples) } },
        },
      }),
      responses: Object.fromEntries([
        ...[...errors].map(([status, { name }]) => [String(status), { $ref: `#/components/responses/${name}` }]),
        ...answers.map((answer) => [String(answer.status), toAnswer(orError(answer, errors.get(answer.status)))]),
      ]) as Operation["responses"],
    },
  };
}

function toErrors(
  { codes, shape }: RouteWords,
  asksForKey: boolean,
  overloadStatus: number,
): ReadonlyMap<number, ErrorResponse> {
  const ofKeys = asksForKey ? (["unauthenticated"] as const) : [];
  const all = [...ofKeys, "invalid_argument", ...codes, "internal", "overloaded"] as const;
  const failures = Map.groupBy(toFailures(all, overloadStatus), ({ status }) => status);
  const statuses = [...failures.keys()].sort((left, right) => left - right);
  return new Map(statuses.map((status) => [status, toErrorResponse(status, failures.get(status) ?? [], shape)]));
}

// Two things may have one status: overload has that of a frontend which is not ready, if a setting says so.
function orError(answer: AnswerWords, error: ErrorResponse | undefined): AnswerWords {
  if (!error) return answer;
  const { description, json, headers = [] } = answer;
  return {
    ...answer,
    description: `${description} Or ${error.response.description}`,
    json: `${json}|OpenAIError`,
    headers: [...headers, "retry-after"],
  };
}

function toAnswer({ description, json, text, stream, headers = [], example }: AnswerWords): Response {
  const content: Record<string, MediaType> = {};
  if (json !== undefined)
    content["application/json"] = { schema: refer(json), ...(example !== undefined && { example }) };
  for (const [type, schema] of Object.entries(text ?? {})) content[type] = { schema };
  if (stream) content["text/event-stream"] = toStream(stream);
  return {
    description,
    headers: toHeaders([...everyAnswer, ...headers]),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

// One of several, if so named.
function refer(names: string): JsonSchema {
  const references = names.split("|").map((name) => ({ $ref: toReference(name) }));
  const [first = {}] = references;
  return references.length === 1 ? first : { anyOf: references };
}

function toExamples(examples: Readonly<Record<string, unknown>>): NonNullable<MediaType["examples"]> {
  return Object.fromEntries(
    Object.entries(examples).map(([summary, value]) => [summary.replaceAll(" ", "-"), { summary, value }]),
  );
}

function toStream({ events, example }: EventStreamWords): MediaType {
  return {
    schema: { type: "string", description: "Server-sent events, each with the JSON of one of `x-itemSchema`." },
    "x-itemSchema": { anyOf: events.map(toItem) },
    example,
  };
}

function toItem({ event, data, when }: StreamEvent): JsonSchema {
  return {
    type: "object",
    description: when,
    properties: {
      ...(event !== undefined && { event: { const: event } }),
      data:
        "schema" in data
          ? { type: "string", contentMediaType: "application/json", contentSchema: { $ref: toReference(data.schema) } }
          : { const: data.text },
    },
    required: event === undefined ? ["data"] : ["event", "data"],
  };
}
