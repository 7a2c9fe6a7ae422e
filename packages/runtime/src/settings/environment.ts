/** Reads settings from the variables that it is given. Of the process it asks itself only where a user's discovery directory is,
 *  and what must be kept from foreign code. */
import { statSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { RuntimeError } from "../errors.ts";
import { refuseOthers, takeGiven } from "./options.ts";
import type { Setting, Variable, VariablesOf } from "./setting.ts";

/** Variables by name; `undefined` and "" both mean unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

function readSetting<Value>(
  setting: Variable<Value> | Setting<Value>,
  environment: Environment,
  flag: string | undefined,
): Value {
  const text = flag ?? environment[setting.env];
  if (text === undefined || (text === "" && flag === undefined)) return setting.default;
  try {
    return setting.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const source = flag !== undefined && "flag" in setting ? `--${setting.flag} ` : `${setting.env}=`;
    const shown = setting.isSecret ? "(hidden)" : JSON.stringify(text);
    throw new RuntimeError("invalid_argument", `${source}${shown}: ${reason}`, { cause: error });
  }
}

/** Longest delay a Node timer can hold, ms. */
export const maxTimerMs: number = 2 ** 31 - 1;

/** The discovery directory of those who name none: one for each user, so that nobody meets the processes of another by accident.
 *  `XDG_RUNTIME_DIR` counts if it is a directory of this user (XDG Base Directory Specification): `su` and `sudo` may leave that of another. */
export function defaultFileKv(
  environment: Environment = process.env,
  uid: number | undefined = process.geteuid?.(),
): string {
  const runtimeDirectory = environment["XDG_RUNTIME_DIR"] ?? "";
  if (isAbsolute(runtimeDirectory) && isDirectoryOf(runtimeDirectory, uid)) return join(runtimeDirectory, "dyn");
  return resolve(tmpdir(), `dyn-${uid ?? userInfo().username}`);
}

function isDirectoryOf(path: string, uid: number | undefined): boolean {
  try {
    const found = statSync(path);
    return found.isDirectory() && (uid === undefined || found.uid === uid);
  } catch {
    return false; // whatever it is, it cannot be used
  }
}

/** Do `work` as if the process had no such variables: foreign code reads them by itself, and a program may have given others. */
export function withoutVariables<Result>(names: readonly string[], work: () => Result): Result {
  const own = names.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  for (const [name] of own) delete process.env[name];
  try {
    return work();
  } finally {
    Object.assign(process.env, Object.fromEntries(own));
  }
}

/** Every setting of a table: `flags` (by name, as text) over `environment` over the default. @throws RuntimeError `invalid_argument`. */
export function readSettings<Config>(
  settings: VariablesOf<Config>,
  environment: Environment = {},
  flags: Readonly<Record<string, string | undefined>> = {},
): Config {
  const names = Object.keys(settings) as (keyof Config & string)[]; // the table has exactly the keys of Config
  const entries = names.map((name) => [name, readSetting(settings[name], environment, flags[name])] as const);
  return Object.fromEntries(entries) as Config;
}

/** Every setting of a table: `given` over `environment` over the default. What is given is not looked for in the environment.
 *  @throws RuntimeError `invalid_argument` on a bad value, or one of another name. */
export function completeSettings<Config>(
  settings: VariablesOf<Config>,
  given: Partial<Config>,
  environment: Environment = {},
): Config {
  const others = Object.fromEntries(Object.entries(given).filter(([name]) => !Object.hasOwn(settings, name)));
  refuseOthers(others, settings);
  const names = Object.keys(settings) as (keyof Config & string)[]; // the table has exactly the keys of Config
  const entries = names.map((name) => {
    const value = given[name];
    const taken =
      value === undefined
        ? readSetting(settings[name], environment, undefined)
        : takeGiven(name, settings[name], value);
    return [name, taken] as const;
  });
  return Object.fromEntries(entries) as Config;
}
