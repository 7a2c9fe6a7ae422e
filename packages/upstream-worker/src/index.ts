/** `@dyn/upstream-worker`: the models of a server of OpenAI's API, served as a worker of dyn. */
/// <reference types="node" preserve="true" />
import { readFile } from "node:fs/promises";
import {
  createMemorySpace,
  createRuntime,
  RuntimeError,
  type Environment,
  type MemorySpace,
  type Runtime,
  type RuntimeConfig,
  type ShutdownSignal,
} from "@dyn/runtime";
import { serveModel, type Embed, type Engine } from "@dyn/runtime/llm";
import {
  assertSignals,
  completeSettings,
  formatAddress,
  loggerOf,
  maxTimerMs,
  once,
  watchSignals,
  type Logger,
} from "@dyn/runtime/internal";
import { createUpstreamEmbed } from "./embed.ts";
import { createUpstreamEngine } from "./engine.ts";
import { createUpstreamHttp } from "./http.ts";
import { look, type Looker } from "./listing.ts";
import { createMembers, type Members } from "./members.ts";
import { assertUrl, upstreamSettings, type ListedModel, type UpstreamOptions } from "./options.ts";

export type { UpstreamOptions } from "./options.ts";

export interface UpstreamWorkerOptions extends Partial<UpstreamOptions> {
  /** Settings of the runtimes; they win over `environment`. Default: as `environment` says. */
  readonly config?: Partial<RuntimeConfig>;
  /** Variables for what is not given, as `process.env` for a program. Default: none is read. */
  readonly environment?: Environment;
  /** Where its models are found with `discoveryBackend: "mem"`. Default: one of their own. */
  readonly memorySpace?: MemorySpace;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
}

export interface UpstreamWorker extends AsyncDisposable {
  /** Names of the models that are served now, for clients. None while the upstream does not answer. */
  readonly models: readonly string[];
  /** Resolves after a drain, whoever began it. */
  readonly closed: Promise<void>;
  /** Port of the system server; undefined without one. */
  readonly systemPort: number | undefined;
  /** Finish what runs and close; `await using` does the same. Idempotent: the promise is that of `closed`. */
  close(): Promise<void>;
}

/** Start serving what the upstream serves; resolves once the first look at it is over, whatever it gave. While it does not answer, nothing is served.
 *  @throws RuntimeError `invalid_argument` on a bad option, `unavailable` if the runtime cannot start. */
export async function startUpstreamWorker(given: UpstreamWorkerOptions): Promise<UpstreamWorker> {
  const { config = {}, environment = {}, memorySpace = createMemorySpace(), shutdownSignals = [], ...settings } = given;
  const options = completeSettings(upstreamSettings, settings, environment);
  assertUrl(options);
  assertSignals(shutdownSignals);
  const runtime = await createRuntime({ config, environment, memorySpace });
  const { log: pino, metrics, memory, system } = runtime;
  const log = loggerOf(pino).child({ target: "dyn_upstream_worker" });
  const http = createUpstreamHttp(options);
  const asking = { http, authorize: () => readKey(options.apiKeyFile) };
  const members = createMembers(log, async (name, listed) => {
    const { upstream } = listed;
    const engine = createUpstreamEngine({ ...asking, model: upstream, maxTokensField: options.maxTokensField });
    const embed = createUpstreamEmbed(upstream, asking);
    const own = await createRuntime({ config, environment, memorySpace, log: pino, metrics, memory, system });
    return serve(own, { name, listed, options, engine, embed });
  });
  const close = endWith(shutdownSignals, log, async () => {
    await members.close();
    http[Symbol.dispose]();
    await runtime.close();
  });
  await watchUpstream(runtime, members, { ...asking, options });
  return {
    get models() {
      return members.names;
    },
    ...close,
    systemPort: system.port,
    [Symbol.asyncDispose]: close.close,
  };
}

/** Failed looks in a row after which nothing is served: one may be slow because it is busy. */
const patience = 2;

export interface UpstreamEngineOptions {
  /** Where the upstream's API begins, such as `http://127.0.0.1:11434/v1`. */
  readonly url: string;
  /** The model's name at the upstream. */
  readonly model: string;
  /** File with the upstream's API key, read again for each request. Default: no key is sent. */
  readonly apiKeyFile?: string;
}

/** An engine and the connections that it keeps. */
export interface UpstreamEngine extends Disposable {
  readonly engine: Engine;
}

/** The engine alone, for one model, without a worker. Whoever opens it disposes it when nothing asks it any more.
 *  @throws RuntimeError `invalid_argument` on a bad option. */
export function openUpstreamEngine({ model, ...settings }: UpstreamEngineOptions): UpstreamEngine {
  const options = completeSettings<UpstreamOptions>(upstreamSettings, settings);
  assertUrl(options);
  const http = createUpstreamHttp(options);
  const { apiKeyFile, maxTokensField } = options;
  const engine = createUpstreamEngine({ http, authorize: () => readKey(apiKeyFile), model, maxTokensField });
  return { engine, [Symbol.dispose]: () => http[Symbol.dispose]() };
}

interface Watched extends Omit<Looker, "modelName"> {
  readonly options: UpstreamOptions;
}

// The health check is the look itself: what it finds is served from then on. Resolves after the first.
async function watchUpstream(
  { health }: Runtime,
  members: Members,
  { options: { modelName, healthIntervalMs: intervalMs, connectTimeoutMs: timeoutMs }, ...asking }: Watched,
): Promise<void> {
  const { promise: looked, resolve } = Promise.withResolvers<void>();
  let failures = 0;
  const lookAgain = async (signal: AbortSignal): Promise<ReadonlyMap<string, ListedModel>> => {
    try {
      const models = await look({ ...asking, modelName }, signal);
      failures = 0;
      return models;
    } catch (error) {
      failures += 1;
      if (failures >= patience) await members.set(new Map());
      throw error;
    }
  };
  const check = async (signal: AbortSignal): Promise<void> => {
    try {
      await members.set(await lookAgain(signal));
    } finally {
      resolve();
    }
  };
  health.add("upstream", check, { intervalMs, timeoutMs }); // until the runtime closes
  await looked;
}

// What ends it, once, by a signal or by its owner.
function endWith(
  shutdownSignals: readonly ShutdownSignal[],
  log: Logger,
  end: () => Promise<void>,
): Pick<UpstreamWorker, "closed" | "close"> {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  closed.catch(() => undefined); // also thrown at whoever closes
  const alive = setInterval(() => undefined, maxTimerMs); // with nothing served, nothing else holds the process
  const close = once(() => {
    clearInterval(alive);
    end()
      .finally(() => signals[Symbol.dispose]())
      .then(resolve, reject);
    return closed;
  });
  const signals = watchSignals(shutdownSignals, (signal) => {
    log.info({ signal }, "shutdown requested, draining; a second signal ends at once");
    void close();
  });
  return { closed, close };
}

interface Member {
  readonly name: string;
  readonly listed: ListedModel;
  readonly options: UpstreamOptions;
  readonly engine: Engine;
  readonly embed: Embed;
}

async function serve(runtime: Runtime, { name, listed, options, engine, embed }: Member): Promise<Runtime> {
  const { capabilities, contextLength } = options;
  const endpoint = formatAddress(options);
  try {
    await serveModel(
      runtime,
      { model: name, endpoint, capabilities, contextLength: contextLength || listed.contextLength, embed },
      engine,
    );
    return runtime;
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

// Read again each time: keys are changed while servers run.
async function readKey(path: string): Promise<Record<string, string>> {
  if (path === "") return {};
  try {
    return { authorization: `Bearer ${(await readFile(path, "utf8")).trim()}` };
  } catch (error) {
    const publicMessage = "this worker cannot read its key for the server behind it";
    throw new RuntimeError(
      "unavailable",
      `the API key file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error, publicMessage },
    );
  }
}
