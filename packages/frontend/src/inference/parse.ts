/** From the bytes of a body to a request. */
import type { Exchange } from "@dyn/runtime/internal";
import { parseJsonBody } from "../http/body.ts";
import type { UnknownFields } from "./extra.ts";
import { readTimeout, timeoutHeader, type DeadlineLimits } from "./deadlines.ts";
import { checkModelLength, type FieldLimits } from "./fields.ts";

/** Limits that are settings. */
export interface ParseLimits {
  readonly deadlineLimits: DeadlineLimits;
  readonly fieldLimits: FieldLimits;
  readonly unknownFields: UnknownFields;
}

/** A body as far as it could be read. Without a request there is an error. */
export interface Parsed<Request> {
  readonly body?: unknown;
  readonly request?: Request;
  readonly deadlineLimits?: DeadlineLimits;
  readonly error?: unknown;
}

/** Parse it and `read` it, with the client's own time limit. Nothing of `raw` is kept. */
export function parseRequest<Request>(
  read: (body: unknown, limits: FieldLimits) => Request,
  exchange: Exchange,
  raw: unknown,
  limits: ParseLimits,
): Parsed<Request> {
  const readIts = (body: unknown, fieldLimits: FieldLimits): Request => {
    checkModelLength(body);
    return read(body, fieldLimits);
  };
  return parseAny(readIts, exchange, raw, limits);
}

/** The same for a body that need not name a model. */
export function parseAny<Request>(
  read: (body: unknown, limits: FieldLimits) => Request,
  { request: { headers } }: Exchange,
  raw: unknown,
  { deadlineLimits: ours, fieldLimits }: ParseLimits,
): Parsed<Request> {
  let body: unknown;
  try {
    body = parseJsonBody(raw);
    return {
      body,
      request: read(body, fieldLimits),
      deadlineLimits: readTimeout(headers[timeoutHeader], ours),
    };
  } catch (error) {
    return { body, error };
  }
}
