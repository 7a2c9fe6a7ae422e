/** Routes that whoever runs in a process adds to its system server: something to read, and orders. */
import type { IncomingMessage } from "node:http";
import { toRuntimeError } from "../errors.ts";

export interface SystemRoute {
  /** What GET shows, as a JSON value. */
  read(): unknown;
  /** By method, such as PUT: what it does with the body; GET's answer follows. Throwing a RuntimeError `invalid_argument` is a 400. */
  readonly orders: Readonly<Record<string, (body: string) => void>>;
}

export interface RouteAnswer {
  readonly status: number;
  readonly body: unknown;
}

const maxBodyBytes = 65_536;

/** Obey a request whose method the route has, and say what the state is after it. */
export async function answerRoute(request: IncomingMessage, route: SystemRoute): Promise<RouteAnswer> {
  const order = route.orders[request.method ?? ""];
  if (!order) return { status: 200, body: route.read() };
  const body = await readBody(request);
  if (body === undefined) return { status: 413, body: { error: `the request body is larger than ${maxBodyBytes} bytes, the limit` } };
  try {
    order(body);
  } catch (thrown) {
    const error = toRuntimeError(thrown);
    if (error.code !== "invalid_argument") throw error;
    return { status: 400, body: { error: error.message } };
  }
  return { status: 200, body: route.read() };
}

// Undefined: too large; the rest is not read.
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length; // no encoding is set: chunks are Buffers
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
