// A worker and a caller in one process, which talk over a real socket with the settings of a test.
import {
  createMemorySpace,
  createRuntime,
  type Runtime,
  type RuntimeConfig,
} from "../../../packages/runtime/src/index.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../support/logger.ts";
import { address, collect, config } from "../peers.ts";

export interface Members extends AsyncDisposable {
  readonly port: number;
  /** The worker, as its record has it. */
  readonly dialled: string;
  ask(): Promise<unknown[]>;
  /** A runtime of its own, so a connection of its own. */
  askAnew(more: Partial<RuntimeConfig>): Promise<unknown[]>;
  readonly lines: Record<string, unknown>[];
}

export async function startMembers(
  serverConfig: Partial<RuntimeConfig>,
  callerConfig: Partial<RuntimeConfig>,
): Promise<Members> {
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => void lines.push(record), filter: parseLogFilter("trace") });
  const start = (more: Partial<RuntimeConfig>): Promise<Runtime> =>
    createRuntime({
      config: { ...config, ...more },
      memorySpace,
      log: log.pino,
      environment: {},
    });
  const [server, asking] = await Promise.all([start(serverConfig), start(callerConfig)]);
  const serving = await server.endpoint(address).serve(async function* () {
    yield "hello";
  });
  const askWith = async (runtime: Runtime): Promise<unknown[]> => {
    const client = runtime.client<object, unknown>(address);
    await client.waitForInstances();
    return collect(client.generate({}));
  };
  return {
    port: Number(serving.address.split(":")[1]),
    dialled: `${serving.instanceId}@tcp://${serving.address}`,
    ask: () => askWith(asking),
    async askAnew(more) {
      await using runtime = await start(more);
      return await askWith(runtime);
    },
    lines,
    async [Symbol.asyncDispose]() {
      await asking[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
