/** Routes that whoever runs in a process adds to its system server: something to read, and orders. */
import type { IncomingMessage } from "node:http";
import { toRuntimeError, type ErrorCode } from "../errors.ts";
import { parseCodings, toTooLarge, type ContentDecoder } from "../http/content-coding.ts";
import { checkCharset, decodeText } from "../http/content-text.ts";
import { MediaTypeError } from "../http/malformed.ts";

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

const limit = { maxBytes: 65_536 };
/** Of requests; what else fails is a fault of ours. */
const theirs: ReadonlySet<ErrorCode> = new Set(["invalid_argument", "too_large", "unsupported_media_type", "unimplemented"]);

/** Obey a request whose method the route has, and say what the state is after it. */
export async function answerRoute(request: IncomingMessage, route: SystemRoute, decoder: ContentDecoder): Promise<RouteAnswer> {
  const order = route.orders[request.method ?? ""];
  if (!order) return { status: 200, body: route.read() };
  try {
    order(await readText(request, decoder));
  } catch (thrown) {
    const error = toRuntimeError(thrown);
    if (!theirs.has(error.code)) throw error;
    const headers = error instanceof MediaTypeError ? error.headers : {};
    return { status: error.traits.status, body: { error: error.message }, headers };
  }
  return { status: 200, body: route.read() };
}

async function readText(request: IncomingMessage, decoder: ContentDecoder): Promise<string> {
  const { "content-type": type, "content-encoding": encoding } = request.headers;
  checkCharset(type);
  const codings = parseCodings(encoding);
  const body = await readBody(request);
  return decodeText(codings.length > 0 && body.length > 0 ? await decoder.decode(body, codings, limit) : body);
}

// What is too large is not read to its end.
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length; // no encoding is set: chunks are Buffers
    if (bytes > limit.maxBytes) throw toTooLarge(limit);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
