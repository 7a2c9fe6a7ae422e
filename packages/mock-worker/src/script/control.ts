/** The script of a process, which can be replaced while it runs. */
import type { Logger, SystemRoute } from "@dyn/runtime/internal";
import type { Script } from "./format.ts";
import { parseScript } from "./read.ts";
import { playScript, type PlayedScript } from "./script.ts";

export interface ScriptControl {
  /** Undefined without rules. */
  readonly current: PlayedScript | undefined;
  /** Answer requests to come by this one. What is counted is counted from 0 again. @throws RuntimeError `invalid_argument` naming what is wrong; the old one stays. */
  replace(script: unknown): void;
}

const none: Script = { fixtures: [] };

/** `seed` decides which requests meet faults that have rates. @throws RuntimeError `invalid_argument` naming what is wrong. */
export function createScriptControl(seed: number, script: unknown = none): ScriptControl {
  const play = (given: unknown): PlayedScript | undefined => {
    const played = playScript(given, seed);
    return played.source.fixtures.length > 0 ? played : undefined;
  };
  let current = play(script);
  return {
    get current() {
      return current;
    },
    replace(other) {
      current = play(other);
    },
  };
}

/** The control over HTTP: GET shows the script, PUT replaces it by another in JSON or YAML, DELETE ends it. */
export function toScriptRoute(control: ScriptControl, log: Logger): SystemRoute {
  const replace = (script: unknown): void => {
    control.replace(script);
    const rules = control.current?.source.fixtures.length ?? 0;
    log.child({ target: "dyn_mock_worker" }).info({ rules }, "script replaced");
  };
  return {
    read: () => control.current?.source ?? none,
    orders: { PUT: (text) => replace(parseScript(text)), DELETE: () => replace(none) },
  };
}
