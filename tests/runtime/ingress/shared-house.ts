/** A worker whose two endpoints share the places of one limit. */
import {
  createMemorySpace,
  createRuntime,
  type Client,
  type LimitOptions,
  type RequestContext,
  type RequestLimit,
  type Runtime,
  type RuntimeConfig,
  type Serving,
} from "../../../packages/runtime/src/index.ts";
import { renderMetrics } from "../../../packages/runtime/src/internal.ts";
import { eventually, type Line } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";
import { parseOpenMetrics, type Exposed } from "../../support/open-metrics.ts";
import { config } from "../peers.ts";

interface Asked {
  readonly name: string;
}

export interface House extends AsyncDisposable {
  readonly server: Runtime;
  readonly limit: RequestLimit;
  readonly servings: Readonly<Record<"red" | "blue", Serving>>;
  readonly red: Client<Asked, Asked>;
  readonly blue: Client<Asked, Asked>;
  /** Contexts of the requests whose handler has begun, by name. */
  readonly begun: Map<string, RequestContext>;
  /** Let the handler of a request end. */
  finish(name: string): void;
  readonly lines: Line[];
  metrics(): Promise<Exposed>;
}

// Two endpoints of one worker. Their requests run until they are told to end, or their signal aborts.
export async function startHouse(options: LimitOptions, settings: Partial<RuntimeConfig> = {}): Promise<House> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  const server = await createRuntime({ config: { ...config, ...settings }, memorySpace, log: log.pino });
  const caller = await createRuntime({ config, memorySpace, log: createLogger({ sink: () => undefined }).pino });
  const limit = server.limit(options);
  const begun = new Map<string, RequestContext>();
  const ends = new Map<string, () => void>();
  const serve = (color: string): Promise<Serving> =>
    server.endpoint(`dyn://test.${color}.generate`).serve(
      async ({ name }: Asked, context) => {
        begun.set(name, context);
        await new Promise<void>((resolve) => {
          ends.set(name, resolve);
          context.signal.addEventListener("abort", () => resolve());
        });
        return { name };
      },
      { limit },
    );
  return {
    server,
    limit,
    servings: { red: await serve("red"), blue: await serve("blue") },
    red: caller.client("dyn://test.red.generate"),
    blue: caller.client("dyn://test.blue.generate"),
    begun,
    finish: (name) => ends.get(name)?.(),
    lines,
    metrics: async () => parseOpenMetrics((await renderMetrics(server.metrics.registry, "openmetrics")).body),
    async [Symbol.asyncDispose]() {
      await Promise.all([caller, server].map((runtime) => runtime.close()));
    },
  };
}

export const counts = ({ limit }: House): [running: number, queued: number] => [limit.running, limit.queued];
export const waitFor = (house: House, running: number, queued: number): Promise<unknown> =>
  eventually(`${running} running, ${queued} waiting`, () => counts(house).join() === `${running},${queued}`);
