/** From the bytes of a body to a request. */
import type { Exchange } from "@dyn/runtime/internal";
import { parseJsonBody } from "../http/body.ts";
import { readSources } from "../http/exact-json.ts";
import type { InferenceApi, InferenceRequest } from "./api.ts";
import { readTimeout, timeoutHeader, type DeadlineLimits } from "./deadlines.ts";
import { checkModelLength, type FieldLimits } from "./fields.ts";

/** Limits that are settings. */
export interface ParseLimits {
  readonly deadlineLimits: DeadlineLimits;
  readonly fieldLimits: FieldLimits;
}

/** A body as far as it could be read. Without a request there is an error. */
export interface Parsed<Request> {
  readonly body?: unknown;
  readonly request?: Request;
  readonly deadlineLimits?: DeadlineLimits;
  readonly error?: unknown;
}

/** Read it, with the client's own time limit. Nothing of `raw` is kept. */
export function parseRequest<Request extends InferenceRequest>(
  api: InferenceApi<Request>,
  { request: { headers } }: Exchange,
  raw: unknown,
  { deadlineLimits: ours, fieldLimits }: ParseLimits,
): Parsed<Request> {
  let body: unknown;
  try {
    body = parseJsonBody(raw);
    checkModelLength(body);
    return {
      body,
      request: keepTools(api.parse(body, fieldLimits), raw),
      deadlineLimits: readTimeout(headers[timeoutHeader], ours),
    };
  } catch (error) {
    return { body, error };
  }
}

const toolMembers: ReadonlySet<string> = new Set(["tools", "tool_choice"]);

/** Engines get tools as they are: as the text they came in, since parsing rounds their numbers. */
export function keepTools<Request extends InferenceRequest>(request: Request, raw: unknown): Request {
  const { tools: list, toolChoice: choice, ...job } = request.job;
  if ((list === undefined && choice === undefined) || !Buffer.isBuffer(raw)) return request;
  const sources = readSources(raw, toolMembers);
  const tools = list && sources.get("tools");
  const toolChoice = choice === undefined ? undefined : sources.get("tool_choice");
  const toolJson = { ...(tools !== undefined && { tools }), ...(toolChoice !== undefined && { toolChoice }) };
  return { ...request, job: { ...job, toolJson } };
}
