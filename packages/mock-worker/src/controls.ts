/** What all workers of a process share, and what changes while they run: faults, the script, what was asked of late. */
import { existsSync } from "node:fs";
import { RuntimeError, type Runtime } from "@dyn/runtime";
import { loggerOf } from "@dyn/runtime/internal";
import type { Engine } from "@dyn/runtime/llm";
import type { EngineParts } from "./engine.ts";
import { createFaultControl, toFaultRoute } from "./faults/control.ts";
import type { Fault, FaultPlan } from "./faults/faults.ts";
import type { MockOptions } from "./options.ts";
import { createRecorder, type Recorder } from "./record/recorder.ts";
import { createScriptControl, toScriptRoute } from "./script/control.ts";
import type { Fixture } from "./script/format.ts";
import { readScript } from "./script/read.ts";
import { toSeenRoute } from "./seen/route.ts";
import { createSeenRequests, type SeenRequest } from "./seen/seen.ts";

/** What programs may do with the workers. */
export interface MockControls {
  /** Have all of them fail in this way from their next requests on; [] = not any more. */
  inject(this: void, faults: readonly Fault[]): void;
  /** Have all of them answer requests to come by these rules; [] = by their own alone. @throws RuntimeError `invalid_argument` naming what is wrong. */
  play(this: void, fixtures: readonly Fixture[]): void;
  /** What they were asked of late, and what they have answered, the oldest first: the latest `keepRequests`, in at most 64 MiB. */
  requests(this: void): readonly SeenRequest[];
  /** Forget those. */
  forgetRequests(this: void): void;
}

export interface Controls {
  /** One per worker. */
  readonly plans: readonly FaultPlan[];
  readonly methods: MockControls;
  /** Make them known to the system server of the first runtime. */
  addRoutes(runtime: Runtime): void;
  /** What the engine of one worker needs. */
  toParts(runtime: Runtime, own: Pick<EngineParts, "plan" | "crash">): EngineParts;
  /** Resolves when all is written. */
  flush(): Promise<void>;
}

export interface Sources {
  /** Rules in place of those of the file. */
  readonly fixtures: readonly Fixture[] | undefined;
  /** Whom to ask and to record. */
  readonly upstream: Engine | undefined;
}

/** @throws RuntimeError `invalid_argument` for a script that is none, or no file to record to. */
export function createControls(options: MockOptions, { fixtures, upstream }: Sources): Controls {
  const faults = createFaultControl(options);
  const script = createScriptControl(options.seed, fixtures ? { fixtures } : readFile(options, upstream !== undefined));
  const seen = createSeenRequests({ max: options.keepRequests, now: Date.now });
  const { script: path } = options;
  let recorder: Recorder | undefined;
  return {
    plans: faults.plans,
    methods: {
      inject: (others) => faults.replace(others),
      play: (others) => script.replace({ fixtures: others }),
      requests: seen.list,
      forgetRequests: seen.clear,
    },
    addRoutes({ system, log }) {
      system.addRoute("/faults", toFaultRoute(faults, loggerOf(log)));
      system.addRoute("/script", toScriptRoute(script, loggerOf(log)));
      system.addRoute("/requests", toSeenRoute(seen));
    },
    toParts(runtime, own) {
      const log = loggerOf(runtime.log).child({ target: "dyn_mock_worker" });
      if (upstream) recorder ??= createRecorder({ upstream, script, path, log, now: () => performance.now() });
      return { ...own, script, recorder, seen: options.keepRequests > 0 ? seen : undefined };
    },
    flush: async () => recorder?.flush(),
  };
}

function readFile({ script: path }: MockOptions, isRecording: boolean): unknown {
  if (path === "") {
    if (!isRecording) return undefined;
    throw new RuntimeError("invalid_argument", "script must name the file that is recorded to, got none");
  }
  return isRecording && !existsSync(path) ? undefined : readScript(path);
}
