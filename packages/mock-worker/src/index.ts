/** `@dyn/mock-worker`: a deterministic model for tests, in this process. */
import { completeSettings, createMemorySpace, createRuntime, formatAddress, type Runtime, type RuntimeConfig, type Serving } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { createEchoEngine } from "./engine.ts";
import { createFaultPlan } from "./faults.ts";
import { mockSettings, type MockOptions } from "./options.ts";

export { createEchoEngine } from "./engine.ts";
export type { Pace } from "./engine.ts";
export { mockSettings } from "./options.ts";
export type { MockOptions } from "./options.ts";

export interface MockWorkerOptions extends Partial<MockOptions> {
  /** Settings of the runtimes; they win over the environment. */
  readonly config?: Partial<RuntimeConfig>;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly NodeJS.Signals[];
}

export interface MockWorker extends AsyncDisposable {
  /** One per worker. */
  readonly servings: readonly Serving[];
  /** Resolves after all of them have drained. */
  readonly closed: Promise<void>;
}

// As Dynamo's workers call themselves.
const defaultComponents: Readonly<Record<MockOptions["disaggregationMode"], string>> = {
  agg: "backend",
  prefill: "prefill",
  decode: "backend",
};

/** Start `numWorkers` echo workers in this process; resolves once all are registered. */
export async function startMockWorker({ config, shutdownSignals, ...given }: MockWorkerOptions = {}): Promise<MockWorker> {
  const options = completeSettings(mockSettings, given, {});
  const runtimes: Runtime[] = [];
  const servings: Serving[] = [];
  const memorySpace = createMemorySpace();
  const close = async (): Promise<void> => {
    await Promise.all(servings.map((serving) => serving[Symbol.asyncDispose]()));
    await Promise.all(runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
  };
  try {
    for (let index = 0; index < options.numWorkers; index += 1) {
      const runtime = await createRuntime({ ...(config && { config }), ...(shutdownSignals && { shutdownSignals }), memorySpace });
      runtimes.push(runtime);
      const { modelName: model, disaggregationMode: mode } = options;
      const role = mode === "agg" ? "aggregated" : mode;
      const component = options.component === "" ? defaultComponents[mode] : options.component;
      const endpoint = formatAddress({ ...options, component });
      servings.push(
        await serveModel(
          runtime,
          { model, role, endpoint, migrationLimit: options.migrationLimit },
          createEchoEngine(options, createFaultPlan(options.fault, options.seed + index)),
        ),
      );
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    servings,
    closed: Promise.all(servings.map(({ closed }) => closed)).then(close),
    [Symbol.asyncDispose]: close,
  };
}
