/** Routes that whoever runs in a process adds to its system server: something to read, and orders. */
import type { IncomingMessage } from "node:http";
import { RuntimeError, toRuntimeError, type ErrorCode } from "../errors.ts";
import { parseCodings, type BodyLimit, type ContentDecoder } from "../http/content-coding.ts";
import { checkCharset, decodeText } from "../http/content-text.ts";
import { MediaTypeError } from "../http/malformed.ts";
import { readBody } from "../http/read-body.ts";
import type { MemoryBudget } from "../memory-budget.ts";

export interface SystemRoute {
  /** What GET shows, as a JSON value. */
  read(): unknown;
  /** By method, such as PUT: what it does with the body; GET's answer follows. Throwing a RuntimeError `invalid_argument` is a 400. */
  readonly orders: Readonly<Record<string, (body: string) => void>>;
}

export interface RouteAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const maxBytes = 65_536;
/** Of requests; what else fails is a fault of ours. */
const theirs: ReadonlySet<ErrorCode> = new Set([
  "invalid_argument",
  "too_large",
  "unsupported_media_type",
  "unimplemented",
  "overloaded",
  "deadline_exceeded",
]);

/** What reading an order takes. */
export interface OrderParts {
  readonly decoder: ContentDecoder;
  readonly memory: MemoryBudget;
  /** For a body in a coding to be decoded, ms. */
  readonly timeoutMs: number;
}

/** Obey a request whose method the route has, and say what the state is after it. */
export async function answerRoute(
  request: IncomingMessage,
  route: SystemRoute,
  parts: OrderParts,
): Promise<RouteAnswer> {
  const order = route.orders[request.method ?? ""];
  if (!order) return { status: 200, body: route.read() };
  try {
    order(await readText(request, parts));
  } catch (thrown) {
    const error = toRuntimeError(thrown);
    if (!theirs.has(error.code)) throw error;
    const headers = error instanceof MediaTypeError ? error.headers : {};
    return { status: error.traits.status, body: { error: error.message }, headers };
  }
  return { status: 200, body: route.read() };
}

async function readText(request: IncomingMessage, { decoder, memory, timeoutMs }: OrderParts): Promise<string> {
  const { "content-type": type, "content-encoding": encoding } = request.headers;
  checkCharset(type);
  const codings = parseCodings(encoding);
  using share = memory.open();
  const limit: BodyLimit = { maxBytes, onGrow: (bytes) => share.take(bytes) };
  const body = await readBody(request, limit);
  if (codings.length === 0 || body.length === 0) return decodeText(body);
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new RuntimeError("deadline_exceeded", `the request body was not decoded within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return decodeText(await decoder.decode(body, codings, limit, late.signal));
  } finally {
    clearTimeout(timer);
  }
}
