/** `@dyn/mock-worker`: a deterministic model for tests, in this process. */
/// <reference types="node" preserve="true" />
import {
  createMemorySpace,
  createRuntime,
  type Environment,
  type MemorySpace,
  type Runtime,
  type RuntimeConfig,
  type RuntimeOptions,
  type Serving,
  type ShutdownSignal,
} from "@dyn/runtime";
import { serveModel, type Engine } from "@dyn/runtime/llm";
import { assertSignals, completeSettings, formatAddress, loggerOf, once, watchSignals } from "@dyn/runtime/internal";
import { createControls, type MockControls } from "./controls.ts";
import { createEmbed } from "./embeddings.ts";
import { createEchoEngine, type EngineParts } from "./engine.ts";
import { mockSettings, type MockOptions } from "./options.ts";
import type { Fixture } from "./script/format.ts";

export type { SeenAnswer, SeenCall, SeenRequest } from "./seen/seen.ts";
export { createEchoEngine } from "./engine.ts";
export type { Pace } from "./engine.ts";
export { parseFaults } from "./faults/faults.ts";
export type { Fault } from "./faults/faults.ts";
export type { MockControls } from "./controls.ts";
export type { MockOptions } from "./options.ts";
export type {
  Chaos,
  Fixture,
  FixtureBlock,
  FixtureCall,
  FixtureError,
  FixtureMatch,
  FixtureResponse,
  FixtureUsage,
  Pattern,
  RecordedTimings,
  Script,
  StreamingProfile,
} from "./script/format.ts";

export interface MockWorkerOptions extends Partial<MockOptions> {
  /** Settings of the runtimes; they win over `environment`. Default: as `environment` says. */
  readonly config?: Partial<RuntimeConfig>;
  /** Variables for what is not given, as `process.env` for a program. Default: none is read. */
  readonly environment?: Environment;
  /** Where they are found with `discoveryBackend: "mem"`; give a runtime in this process the same one. Default: one of their own. */
  readonly memorySpace?: MemorySpace;
  /** Rules for its answers, in place of a file (`script`). Default: none, the mock's own rules answer. */
  readonly fixtures?: readonly Fixture[];
  /** Answers what no rule is for. What it says is added to the rules, and to the file of `script`. Default: the mock's own rules answer. */
  readonly upstream?: Engine;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
  /** What the fault `crash` does. Default: the worker that meets it ends as if its process had been killed; the others, and this process, which may be a test's, go on. */
  readonly onCrash?: () => void;
}

export interface MockWorker extends MockControls, AsyncDisposable {
  /** One per worker. */
  readonly servings: readonly Serving[];
  /** Resolves after all of them have drained, whoever began it. */
  readonly closed: Promise<void>;
  /** Port of their system server; undefined without one. */
  readonly systemPort: number | undefined;
  /** Finish what runs and close all of them; `await using` does the same. Idempotent: the promise is that of `closed`. */
  close(): Promise<void>;
}

// As Dynamo's workers call themselves.
const defaultComponents: Readonly<Record<MockOptions["disaggregationMode"], string>> = {
  agg: "backend",
  prefill: "prefill",
  decode: "backend",
};

/** Start `numWorkers` echo workers in this process; resolves once all are registered, or a signal has stopped that. */
export async function startMockWorker(given: MockWorkerOptions = {}): Promise<MockWorker> {
  const {
    config = {},
    environment = {},
    memorySpace = createMemorySpace(),
    fixtures,
    upstream,
    shutdownSignals = [],
    onCrash,
    ...settings
  } = given;
  assertSignals(shutdownSignals);
  const options = completeSettings(mockSettings, settings, environment);
  const controls = createControls(options, { fixtures, upstream });
  const workers = createWorkers();
  const stop = new AbortController();
  // One watch and one log for all workers: each runtime's own would be a listener of the process, and the watch a line per worker.
  const signals = watchSignals(shutdownSignals, (signal) => {
    workers.logShutdown(signal);
    stop.abort();
  });
  try {
    for (const plan of controls.plans) {
      if (stop.signal.aborted) break;
      const runtime = await workers.open({ config, environment, memorySpace });
      if (workers.runtimes.length === 1) controls.addRoutes(runtime);
      const crash = onCrash ?? (() => workers.kill(runtime));
      workers.servings.push(await serve(runtime, options, controls.toParts(runtime, { plan, crash })));
    }
  } catch (error) {
    signals[Symbol.dispose]();
    await workers.close();
    throw error;
  }
  stop.signal.addEventListener("abort", workers.end);
  if (stop.signal.aborted) await workers.close();
  const { servings, runtimes, close } = workers;
  const closed = Promise.all(servings.map((serving) => serving.closed))
    .then(close)
    .then(() => controls.flush())
    .finally(() => signals[Symbol.dispose]());
  closed.catch(() => undefined); // also thrown at whoever closes
  const closeAll = once(() => {
    close().catch(() => undefined); // `closed` tells of it
    return closed;
  });
  const systemPort = runtimes[0]?.system.port;
  return { servings, closed, systemPort, ...controls.methods, close: closeAll, [Symbol.asyncDispose]: closeAll };
}

interface Workers {
  readonly runtimes: readonly Runtime[];
  readonly servings: Serving[];
  /** One more runtime, which shares what is the process's with the first. */
  open(options: RuntimeOptions): Promise<Runtime>;
  /** Close all runtimes, once. */
  readonly close: () => Promise<void>;
  /** Close them, and say so if that fails. */
  readonly end: () => void;
  /** End one as if its process had been killed. */
  kill(runtime: Runtime): void;
  logShutdown(signal: ShutdownSignal): void;
}

function createWorkers(): Workers {
  const runtimes: Runtime[] = [];
  const close = once(async () => {
    await Promise.all(runtimes.map((runtime) => runtime.close()));
  });
  const tellFailure = (error: unknown): void => runtimes[0]?.log.error({ error }, "shutdown failed");
  return {
    runtimes,
    servings: [],
    async open(options) {
      const [first] = runtimes;
      const shared = first && { log: first.log, metrics: first.metrics, memory: first.memory, system: first.system };
      const runtime = await createRuntime({ ...options, ...shared });
      runtimes.push(runtime);
      return runtime;
    },
    close,
    end: () => void close().catch(tellFailure),
    kill: (runtime) => void runtime.kill().catch(tellFailure),
    logShutdown(signal) {
      const [first] = runtimes;
      const log = first && loggerOf(first.log).child({ target: "dyn_mock_worker" });
      log?.info({ signal, workers: runtimes.length }, "shutdown requested, draining; a second signal ends at once");
    },
  };
}

function serve(runtime: Runtime, options: MockOptions, parts: EngineParts): Promise<Serving> {
  const { modelName: model, disaggregationMode: mode, migrationLimit, maxNumSeqs: requestLimit } = options;
  const role = mode === "agg" ? "aggregated" : mode;
  const component = options.component === "" ? defaultComponents[mode] : options.component;
  const endpoint = formatAddress({ ...options, component });
  const engine = createEchoEngine(options, parts);
  const capabilities = ["tools", "images", "audio", "files", "schemas", "reasoning", "logprobs"] as const;
  const isEmbedding = role === "aggregated" && options.embeddingDimensions > 0;
  const embed = isEmbedding ? { embed: createEmbed(options, parts) } : {};
  const limits = { migrationLimit: parts.recorder ? 0 : migrationLimit, requestLimit }; // nobody goes on with what another model has begun
  return serveModel(runtime, { model, role, endpoint, ...limits, capabilities, ...embed }, engine);
}
