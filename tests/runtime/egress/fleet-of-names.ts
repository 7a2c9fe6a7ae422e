/** Instances of one endpoint that answer with their ids, and a runtime that calls them. */
import {
  createMemorySpace,
  createRuntime,
  type Handler,
  type MemorySpace,
  type Runtime,
  type ServeOptions,
} from "../../../packages/runtime/src/index.ts";
import type { Line } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";
import { address, config } from "../peers.ts";

export interface Named {
  readonly user?: string;
}

export interface Fleet extends AsyncDisposable {
  readonly memorySpace: MemorySpace;
  readonly caller: Runtime;
  /** What the caller has logged. */
  readonly lines: Line[];
  readonly ids: readonly string[];
  /** One more. @returns its id. */
  start(options?: ServeOptions<unknown>, handler?: Handler<Named, unknown>): Promise<string>;
  /** End an instance. */
  stop(id: string): Promise<void>;
}

export async function openFleet(count: number): Promise<Fleet> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  const caller = await createRuntime({ config, memorySpace, log: log.pino });
  const runtimes = new Map<string, Runtime>();
  const fleet: Fleet = {
    memorySpace,
    caller,
    lines,
    get ids() {
      return [...runtimes.keys()];
    },
    async start(options = {}, handler) {
      const runtime = await createRuntime({ config, memorySpace, log: createLogger({ sink: () => undefined }).pino });
      runtimes.set(runtime.instanceId, runtime);
      await runtime.endpoint(address).serve(handler ?? (async () => runtime.instanceId), options);
      return runtime.instanceId;
    },
    async stop(id) {
      await runtimes.get(id)?.close();
      runtimes.delete(id);
    },
    async [Symbol.asyncDispose]() {
      await caller.close();
      for (const id of runtimes.keys()) await fleet.stop(id);
    },
  };
  for (let index = 0; index < count; index += 1) await fleet.start();
  return fleet;
}
