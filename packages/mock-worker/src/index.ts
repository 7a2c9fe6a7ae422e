/** `@dyn/mock-worker`: a deterministic model for tests, in this process. */
/// <reference types="node" preserve="true" />
import {
  createMemorySpace,
  createRuntime,
  type MemorySpace,
  type Runtime,
  type RuntimeConfig,
  type Serving,
  type ShutdownSignal,
} from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { completeSettings, formatAddress, watchSignals } from "@dyn/runtime/internal";
import { createEchoEngine, type EngineFaults } from "./engine.ts";
import { createFaultControl, toFaultRoute } from "./fault-control.ts";
import type { Fault } from "./faults.ts";
import { mockSettings, type MockOptions } from "./options.ts";

export { createEchoEngine } from "./engine.ts";
export type { Pace } from "./engine.ts";
export { parseFaults } from "./faults.ts";
export type { Fault } from "./faults.ts";
export { mockSettings } from "./options.ts";
export type { MockOptions } from "./options.ts";

export interface MockWorkerOptions extends Partial<MockOptions> {
  /** Settings of the runtimes; they win over the environment. */
  readonly config?: Partial<RuntimeConfig>;
  /** Where they are found with `discoveryBackend: "mem"`; give a runtime in this process the same one. Default: a space of their own. */
  readonly memorySpace?: MemorySpace;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
  /** What the fault `crash` does. Default: these workers end as if their process had been killed, and this process, which may be a test's, goes on. */
  readonly onCrash?: () => void;
}

export interface MockWorker extends AsyncDisposable {
  /** One per worker. */
  readonly servings: readonly Serving[];
  /** Resolves after all of them have drained. */
  readonly closed: Promise<void>;
  /** Port of their system server; undefined without one. */
  readonly systemPort: number | undefined;
  /** Have all of them fail in this way from their next requests on; [] = not any more. */
  inject(faults: readonly Fault[]): void;
}

// As Dynamo's workers call themselves.
const defaultComponents: Readonly<Record<MockOptions["disaggregationMode"], string>> = {
  agg: "backend",
  prefill: "prefill",
  decode: "backend",
};

/** Start `numWorkers` echo workers in this process; resolves once all are registered, or a signal has stopped that. */
export async function startMockWorker(given: MockWorkerOptions = {}): Promise<MockWorker> {
  const { config, memorySpace = createMemorySpace(), shutdownSignals = [], onCrash, ...settings } = given;
  const options = completeSettings(mockSettings, settings, {});
  const runtimes: Runtime[] = [];
  const servings: Serving[] = [];
  const faults = createFaultControl(options);
  const stop = new AbortController();
  let started = false;
  const close = async (): Promise<void> => {
    await Promise.all(runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
  };
  const killAll = (): void => {
    for (const runtime of runtimes)
      runtime.kill().catch((error: unknown) => runtime.log.error({ error }, "shutdown failed"));
  };
  // One watch and one log for all workers: each runtime's own would be a listener of the process, and the watch a line per worker.
  const signals = watchSignals(shutdownSignals, (signal) => {
    const log = runtimes[0]?.log.child({ target: "dyn_mock_worker" });
    log?.info({ signal, workers: runtimes.length }, "shutdown requested, draining; a second signal ends at once");
    stop.abort();
    if (started) close().catch((error: unknown) => log?.error({ error }, "shutdown failed"));
  });
  try {
    for (const plan of faults.plans) {
      if (stop.signal.aborted) break;
      const [first] = runtimes;
      const shared = first && { log: first.log, metrics: first.metrics, memory: first.memory, system: first.system };
      const runtime = await createRuntime({ ...(config && { config }), ...shared, memorySpace });
      runtimes.push(runtime);
      if (!first) runtime.system.addRoute("/faults", toFaultRoute(faults, runtime.log));
      servings.push(await serve(runtime, options, { plan, crash: onCrash ?? killAll }));
    }
    started = true;
    if (stop.signal.aborted) await close();
  } catch (error) {
    signals[Symbol.dispose]();
    await close();
    throw error;
  }
  const closed = Promise.all(servings.map((serving) => serving.closed))
    .then(close)
    .finally(() => signals[Symbol.dispose]());
  closed.catch(() => undefined); // also thrown at whoever disposes
  return {
    servings,
    closed,
    systemPort: runtimes[0]?.system.port,
    inject: (others) => faults.replace(others),
    [Symbol.asyncDispose]: close,
  };
}

function serve(runtime: Runtime, options: MockOptions, wrong: EngineFaults): Promise<Serving> {
  const { modelName: model, disaggregationMode: mode, migrationLimit, maxNumSeqs: requestLimit } = options;
  const role = mode === "agg" ? "aggregated" : mode;
  const component = options.component === "" ? defaultComponents[mode] : options.component;
  const endpoint = formatAddress({ ...options, component });
  const engine = createEchoEngine(options, wrong);
  return serveModel(runtime, { model, role, endpoint, migrationLimit, requestLimit }, engine);
}
