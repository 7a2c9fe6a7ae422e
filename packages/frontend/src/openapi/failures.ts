/** How requests fail, as responses of the document: all from the table of errors. */
import { errorTable, workerCodes } from "@dyn/runtime/internal";
import type { ErrorCode } from "@dyn/runtime";
import type { JsonSchema } from "../inference/described.ts";
import { fieldReasons } from "../inference/fields.ts";
import { everyAnswer, toHeaders } from "./headers.ts";
import { toReference } from "./json-schema.ts";
import type { Response } from "./openapi.ts";

/** Whose shape errors have; `both` as the request says with `anthropic-version`; `endpoint` is that of endpoints of one's own. */
export type ErrorShape = "openai" | "anthropic" | "both" | "endpoint";

/** Failures of one status. The same ones have the same name in every document. */
export interface ErrorResponse {
  readonly name: string;
  readonly response: Response;
}

export interface Failure {
  readonly status: number;
  readonly code: ErrorCode;
  readonly meaning: string;
  /** The request cannot be read, or must not be answered, whatever its route. */
  readonly isFault?: true;
}

const isFault = true;

/** Failures before the path is looked at, and of headers that no route may answer. */
const faults: readonly Failure[] = [
  { status: 400, code: "invalid_argument", meaning: "it is not valid HTTP/1.1, or could be read in two ways", isFault },
  { status: 408, code: "invalid_argument", meaning: "the request did not arrive in time", isFault },
  { status: 413, code: "invalid_argument", meaning: "the extensions of the body's chunks are too large", isFault },
  { status: 417, code: "invalid_argument", meaning: "`expect` is not `100-continue`", isFault },
  { status: 421, code: "misdirected", meaning: errorTable.misdirected.meaning, isFault },
  { status: 431, code: "invalid_argument", meaning: "the path and headers are too large, or too many", isFault },
  { status: 501, code: "unimplemented", meaning: "the transfer-encoding, or the method, is not served", isFault },
  { status: 505, code: "invalid_argument", meaning: "the version of HTTP is not 1.0 or 1.1", isFault },
];

/** Statuses of those that may come before the path is known: they have OpenAI's shape everywhere. */
const shapeless: ReadonlySet<number> = new Set([400, 408, 413, 431, 501]);

/** All ways in which a route fails that may raise `codes`. */
export function toFailures(codes: readonly ErrorCode[], overloadStatus: number): readonly Failure[] {
  const raised = [...new Set(codes)].map((code): Failure => {
    const { status, meaning } = errorTable[code];
    return { status: code === "overloaded" ? overloadStatus : status, code, meaning };
  });
  return [...raised, ...faults];
}

/** Failures that share a status, as one response. */
export function toErrorResponse(status: number, failures: readonly Failure[], shape: ErrorShape): ErrorResponse {
  const codes = [...new Set(failures.map(({ code }) => code))].sort();
  const shapes = shape === "anthropic" && shapeless.has(status) ? "both" : shape;
  const openai = toOpenaiSchema(codes);
  const schemas = {
    openai: [openai],
    anthropic: [toAnthropicSchema(codes)],
    both: [openai, toAnthropicSchema(codes)],
    endpoint: [...(shapeless.has(status) ? [openai] : []), toEndpointSchema(codes)],
  }[shapes];
  const [schema = {}] = schemas.length === 1 ? schemas : [{ anyOf: schemas }];
  const meanings = [...new Set(failures.map(({ code, meaning }) => `${toShown(code, shapes)}: ${meaning}`))];
  return {
    name: `${shapes}-${status}-${[...new Set(failures.map(({ code, isFault }) => (isFault ? "http" : code)))].join(".")}`,
    response: {
      description: meanings.length === 1 ? `${meanings[0]}.` : meanings.map((meaning) => `- ${meaning}`).join("\n"),
      headers: toHeaders([...everyAnswer, ...codes.flatMap(headersOf)]),
      content: { "application/json": { schema } },
    },
  };
}

// What a client reads of the code: OpenAI's `code`, or its `type` where that is null or the name of a field's fault; Anthropic's `type`.
function toShown(code: ErrorCode, shape: ErrorShape): string {
  if (shape === "endpoint") return `\`${code}\``;
  const { openai, anthropic } = errorTable[code];
  const names = { openai: [openai[1] ?? openai[0]], anthropic: [anthropic], both: [openai[1] ?? openai[0], anthropic] };
  return [...new Set(names[shape])].map((name) => `\`${name}\``).join(" or ");
}

function headersOf(code: ErrorCode): readonly string[] {
  if (code === "unauthenticated") return ["www-authenticate"];
  if (code === "unsupported_media_type") return ["accept", "accept-encoding"];
  if (code === "method_not_allowed") return ["allow"];
  if (code === "unimplemented") return ["x-should-retry", "retry-after"];
  return errorTable[code].retryable || workerCodes.has(code) ? ["retry-after"] : [];
}

function toOpenaiSchema(codes: readonly ErrorCode[]): JsonSchema {
  const types = new Set(codes.map((code) => errorTable[code].openai[0]));
  const values = codes.flatMap((code) => (code === "invalid_argument" ? [null, ...fieldReasons] : [toCode(code)]));
  // An engine may have a word of its own.
  const code = codes.some((each) => workerCodes.has(each)) ? { examples: values } : { enum: [...new Set(values)] };
  return narrow("OpenAIError", { type: { enum: [...types] }, code });
}

function toCode(code: ErrorCode): string | null {
  return errorTable[code].openai[1];
}

function toAnthropicSchema(codes: readonly ErrorCode[]): JsonSchema {
  const types = new Set(codes.map((code) => errorTable[code].anthropic));
  return narrow("AnthropicError", { type: { enum: [...types] } });
}

function toEndpointSchema(codes: readonly ErrorCode[]): JsonSchema {
  return narrow("EndpointError", { code: { enum: [...codes] } });
}

function narrow(name: string, properties: JsonSchema["properties"]): JsonSchema {
  return { allOf: [{ $ref: toReference(name) }, { properties: { error: { properties } } }] } as JsonSchema;
}
