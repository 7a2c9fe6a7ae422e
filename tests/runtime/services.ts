// Fixture: a caller, a service it calls, and one that this calls.
import {
  createMemorySpace,
  createRuntime,
  type Client,
  type ClientOptions,
  type Handler,
  type RequestContext,
  type Runtime,
} from "../../packages/runtime/src/index.ts";
import { createLogger } from "../support/logger.ts";
import type { Line } from "../support/cluster.ts";
import { config } from "./peers.ts";

export const inner = "dyn://test.inner.run";
const outer = "dyn://test.outer.run";
export const requestId = "5b0d7c7e-6a51-4d0e-9b53-0f3c8a9e4c11";
export const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
export const ids = { requestId, xRequestId: "mine", traceparent, tracestate: "vendor=1", baggage: "tenant=acme" };

type Inner = Client<unknown, unknown>;
export type Outer = (inner: Inner, context: RequestContext, request: unknown) => Promise<unknown>;

/** What the inner handler was given, as plain data. */
export interface Seen {
  readonly context: RequestContext;
  readonly timeLeftMs: number;
}

export interface Services extends AsyncDisposable {
  readonly client: Client<unknown, unknown>;
  readonly outer: Runtime;
  readonly inner: Runtime;
  readonly seen: Seen[];
  readonly lines: Line[];
  /** One more that finds them. */
  open(): Promise<Runtime>;
}

export interface ServicesOptions {
  readonly clientOptions?: ClientOptions;
  /** Of the inner service. Default: it answers null. */
  readonly innerHandler?: Handler<unknown, unknown>;
}

/** A caller, a service it calls, and one that this calls: three runtimes. */
export async function startServices(
  handler: Outer,
  { clientOptions = {}, innerHandler = async () => null }: ServicesOptions = {},
): Promise<Services> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) }).pino;
  const open = (): Promise<Runtime> => createRuntime({ config, memorySpace, log });
  const [innerRuntime, outerRuntime, caller] = [await open(), await open(), await open()];
  const seen: Seen[] = [];
  await innerRuntime.endpoint(inner).serve((request, context) => {
    seen.push({ context, timeLeftMs: context.timeLeftMs() });
    return innerHandler(request, context);
  });
  const toInner = outerRuntime.client<unknown, unknown>(inner, clientOptions);
  await outerRuntime.endpoint(outer).serve((request, context) => handler(toInner, context, request));
  return {
    client: caller.client(outer),
    outer: outerRuntime,
    inner: innerRuntime,
    seen,
    lines,
    open,
    async [Symbol.asyncDispose]() {
      for (const runtime of [caller, outerRuntime, innerRuntime]) await runtime.close();
    },
  };
}

/** A handler that is over once its request is cancelled, and says so. */
export function untilCancelled(reasons: unknown[]): Handler<unknown, unknown> {
  return async (_request, { signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    reasons.push(signal.reason);
    return null;
  };
}
