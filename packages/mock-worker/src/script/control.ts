/** The script of a process, which can be replaced while it runs. */
import type { Logger, SystemRoute } from "@dyn/runtime/internal";
import type { Fixture, Script } from "./format.ts";
import { parseScript } from "./read.ts";
import { toRequestHash } from "./request-hash.ts";
import { maxFixtures } from "./schema.ts";
import { playScript, type PlayedScript } from "./script.ts";

export interface ScriptControl {
  /** Undefined without rules. */
  readonly current: Pick<PlayedScript, "find"> | undefined;
  /** All rules, also those that were recorded. */
  readonly source: Script;
  /** Answer requests to come by this one. What is counted is counted from 0 again. @throws RuntimeError `invalid_argument` naming what is wrong; the old one stays. */
  replace(script: unknown): void;
  /** Add a rule that was recorded (`requestHash`), behind all others. @returns false if there is one for its request, or no place for more. */
  add(fixture: Fixture): boolean;
}

const none: Script = { fixtures: [] };

/** `seed` decides which requests meet faults that have rates. @throws RuntimeError `invalid_argument` naming what is wrong. */
export function createScriptControl(seed: number, script: unknown = none): ScriptControl {
  let written = playScript(script, seed);
  let recorded = new Map<string, Recorded>();
  const find: PlayedScript["find"] = (request, context) => {
    const found = written.find(request, context);
    if (found?.plan || recorded.size === 0) return found;
    const again = recorded.get(toRequestHash(request))?.script.find(request, context);
    return again ? { ...again, faults: found?.faults ?? [] } : found;
  };
  const list = (): readonly Fixture[] => [
    ...written.source.fixtures,
    ...[...recorded.values()].map(({ fixture }) => fixture),
  ];
  return {
    get current() {
      const { fixtures } = written.source;
      return fixtures.length + recorded.size > 0 ? { find } : undefined;
    },
    get source() {
      return recorded.size > 0 ? { ...written.source, fixtures: list() } : written.source;
    },
    replace(other) {
      written = playScript(other, seed);
      recorded = new Map();
    },
    add(fixture) {
      const hash = fixture.match?.requestHash;
      const count = written.source.fixtures.length + recorded.size;
      if (hash === undefined || recorded.has(hash) || count >= maxFixtures) return false;
      recorded.set(hash, { fixture, script: playScript({ fixtures: [fixture] }, seed) });
      return true;
    },
  };
}

interface Recorded {
  readonly fixture: Fixture;
  readonly script: PlayedScript;
}

/** The control over HTTP: GET shows the script, PUT replaces it by another in JSON or YAML, DELETE ends it. */
export function toScriptRoute(control: ScriptControl, log: Logger): SystemRoute {
  const replace = (script: unknown): void => {
    control.replace(script);
    const rules = control.source.fixtures.length;
    log.child({ target: "dyn_mock_worker" }).info({ rules }, "script replaced");
  };
  return {
    read: () => control.source,
    orders: { PUT: (text) => replace(parseScript(text)), DELETE: () => replace(none) },
  };
}
