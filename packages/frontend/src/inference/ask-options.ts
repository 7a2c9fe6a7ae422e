/** What it takes to ask workers for a request, and how they are asked. */
import { RuntimeError, type GenerateOptions, type RequestHeaders } from "@dyn/runtime";
import { isInstanceId, type Exchange } from "@dyn/runtime/internal";
import type { Models } from "../models/models.ts";
import type { RequestLog } from "../observe/request-log.ts";
import type { Deadlines } from "./deadlines.ts";

/** One request under way. */
export interface AskParts {
  readonly exchange: Exchange;
  readonly requestLog: RequestLog;
  readonly models: Models;
  readonly deadlines: Deadlines;
  /** Names of headers that go on to the worker. */
  readonly forwardHeaders: readonly string[];
  /** Most that is held of one answer. */
  readonly maxAnswerBytes: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Bytes of items that may be under way of each answer: some thousand tokens, since each client that does not read holds as much. */
const windowBytes = 32 * 1024;

/** `header` is that in which a client names the one instance to ask. @throws RuntimeError `invalid_argument` if it names none. */
export function toOptions(parts: AskParts, header: string): GenerateOptions {
  const { exchange, deadlines, forwardHeaders } = parts;
  const { endsAt } = deadlines;
  const { identity, signal } = exchange;
  const instanceId = readInstanceId(exchange, header);
  return {
    identity,
    signal,
    windowBytes,
    ...(forwardHeaders.length > 0 && { headers: pickHeaders(exchange, forwardHeaders) }),
    ...(endsAt !== undefined && { deadlineAt: endsAt }),
    ...(instanceId !== undefined && { instanceId }),
  };
}

function pickHeaders({ request: { headers } }: Exchange, names: readonly string[]): RequestHeaders {
  const found = names.flatMap((name) => {
    const value = headers[name];
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  return Object.fromEntries(found);
}

// As Dynamo's gateway says it; an empty one names none.
function readInstanceId({ request }: Exchange, header: string): string | undefined {
  const value = request.headers[header];
  if (typeof value !== "string" || value === "") return undefined;
  if (!isInstanceId(value))
    throw new RuntimeError(
      "invalid_argument",
      `${header} header must be the id of an instance as /health shows it, a decimal u64`,
    );
  return value;
}
