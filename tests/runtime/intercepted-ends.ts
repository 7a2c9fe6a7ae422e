/** Fixtures of the tests of interceptors: two runtimes of one memory space, and small interceptors. */
import {
  createMemorySpace,
  createRuntime,
  type Client,
  type Handler,
  type Interceptor,
} from "../../packages/runtime/src/index.ts";
import type { Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";
import { address, config, type Ask } from "./peers.ts";

export interface Ends extends AsyncDisposable {
  readonly client: Client<Ask, unknown>;
  readonly lines: Line[];
}

export interface EndsOptions {
  readonly handler?: Handler<Ask, unknown>;
  /** Of the endpoint. */
  readonly served?: readonly Interceptor[];
  /** Of the client. */
  readonly asked?: readonly Interceptor[];
  /** Of both runtimes. */
  readonly all?: readonly Interceptor[];
}

const count: Handler<Ask, unknown> = async function* (request) {
  for (let index = 0; index < request.count; index += 1) yield index;
};

export async function startEnds({ handler = count, served = [], asked = [], all = [] }: EndsOptions): Promise<Ends> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const { pino: log } = createLogger({ sink: (record) => lines.push(record) });
  const server = await createRuntime({ config, memorySpace, log, interceptors: all });
  const caller = await createRuntime({ config, memorySpace, log, interceptors: all });
  await server.endpoint(address).serve(handler, { interceptors: served });
  return {
    client: caller.client<Ask, unknown>(address, { interceptors: asked }),
    lines,
    async [Symbol.asyncDispose]() {
      await caller.close();
      await server.close();
    },
  };
}

/** Adds to each number. */
export function add(more: number): Interceptor {
  return (next) =>
    async function* (call) {
      for await (const item of next(call)) yield Number(item) + more;
    };
}

/** Changes the request. */
export function ask(request: Ask): Interceptor {
  return (next) => (call) => next({ ...call, request });
}
