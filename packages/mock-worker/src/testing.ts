/** `@dyn/mock-worker/testing`: a frontend and a mock worker in this process, for tests of clients. */
import { createFrontend, type Frontend, type FrontendOptions } from "@dyn/frontend";
import {
  createMemorySpace,
  createRuntime,
  RuntimeError,
  type MemorySpace,
  type RuntimeConfig,
  type Environment,
  type ShutdownSignal,
} from "@dyn/runtime";
import { once } from "@dyn/runtime/internal";
import { startMockWorker, type Fixture, type MockWorker, type SeenRequest } from "./index.ts";
import type { MockOptions } from "./options.ts";

export interface StartFrontendOptions extends AddWorkerOptions {
  /** Settings of the frontend. Default: its own, but a port that the system chooses. */
  readonly frontend?: Partial<FrontendOptions>;
  /** Settings of the runtimes of both. Default: their own, but no log lines, and at the end what still runs is cut off. */
  readonly config?: Partial<RuntimeConfig>;
  /** Variables for what is not given, as `process.env` for a program. Default: none is read. */
  readonly environment?: Environment;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
  /** What the fault `crash` does. Default: the worker that meets it ends as if its process had been killed. */
  readonly onCrash?: () => void;
}

/** What one more worker does. */
export interface AddWorkerOptions extends Partial<MockOptions> {
  /** Rules for its answers. Default: none, the mock's own rules answer. */
  readonly fixtures?: readonly Fixture[];
}

/** A frontend with its first worker. */
export interface StartedFrontend extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v1`, as OpenAI's clients want it. */
  readonly baseUrl: string;
  /** The same without `/v1`, as Anthropic's clients want it. */
  readonly url: string;
  readonly frontend: Frontend;
  /** The worker it was started with. */
  readonly worker: MockWorker;
  /** Start one more, which is like the first but for these options; resolves once requests reach it. It ends with the frontend, if not before. @throws RuntimeError `unavailable` after `close()`. */
  addWorker(options?: AddWorkerOptions): Promise<MockWorker>;
  /** Have the worker it was started with answer requests to come by these rules; [] = by the mock's own alone. @throws RuntimeError `invalid_argument` naming what is wrong. */
  script(fixtures: readonly Fixture[]): void;
  /** What its workers were asked of late, and what they have answered, the oldest first: of each the latest `keepRequests`. */
  requests(): SeenRequest[];
  /** End all of it; `await using` does the same. Idempotent. */
  close(): Promise<void>;
}

// A test wants its own lines, and is over when it is over.
const quiet: Partial<RuntimeConfig> = { log: "off", drainTimeoutMs: 0 };
const brief: Partial<FrontendOptions> = { httpPort: 0, httpGracefulShutdownTimeoutMs: 0 };

/** Start a frontend and a mock worker that know each other only; resolves once requests are answered. Any number of them may run side by side.
 *  @throws RuntimeError `invalid_argument` on an option that cannot be, `unavailable` if a port that was asked for cannot be had. */
export async function startFrontend(given: StartFrontendOptions = {}): Promise<StartedFrontend> {
  const { frontend: asked = {}, config, environment = {}, shutdownSignals = [], onCrash, ...options } = given;
  const shared: SharedOptions = {
    memorySpace: createMemorySpace(),
    environment,
    config: { ...quiet, ...config, discoveryBackend: "mem" },
  };
  const owned: AsyncDisposable[] = [];
  const workers: MockWorker[] = [];
  let isClosed = false;
  const close = once(async () => {
    isClosed = true;
    for (const each of owned.toReversed()) await each[Symbol.asyncDispose]();
  });
  const addWorker = async (more: AddWorkerOptions = {}): Promise<MockWorker> => {
    if (isClosed) throw toClosed();
    const ends = { shutdownSignals, ...(onCrash && { onCrash }) };
    const worker = await startMockWorker({ ...shared, ...ends, ...options, ...more });
    if (isClosed) {
      await worker[Symbol.asyncDispose]();
      throw toClosed();
    }
    owned.push(worker);
    workers.push(worker);
    return worker;
  };
  try {
    const worker = await addWorker();
    const runtime = await createRuntime({ ...shared, config: { ...shared.config, systemPort: -1 } });
    owned.push(runtime);
    const frontend = await createFrontend({ ...brief, ...asked, environment, shutdownSignals, runtime });
    owned.push(frontend);
    const { url } = frontend;
    const script = (fixtures: readonly Fixture[]): void => worker.play(fixtures);
    const requests = (): SeenRequest[] =>
      workers.flatMap((each) => each.requests()).toSorted((one, other) => one.at.localeCompare(other.at));
    const started = { baseUrl: `${url}/v1`, url, frontend, worker, addWorker, script, requests };
    return { ...started, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function toClosed(): RuntimeError {
  return new RuntimeError("unavailable", "the frontend is closed: no worker can be added");
}

interface SharedOptions {
  readonly memorySpace: MemorySpace;
  readonly environment: Environment;
  readonly config: Partial<RuntimeConfig>;
}
