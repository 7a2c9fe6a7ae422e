/** Options as programs give them: in plain JavaScript they may be anything. */
import { constants } from "node:os";
import { RuntimeError } from "../errors.ts";
import { describeValue, excerpt } from "../excerpt.ts";
import type { ShutdownSignal } from "../lifetime.ts";
import type { Variable } from "./setting.ts";
import { suggest } from "./suggest.ts";

/** What options there are: a table by name, so that the compiler holds it to their interface. */
export type OptionNames<Options> = Readonly<Partial<Record<keyof Options, true>>>;

/** `others` is what is left of options once all that there are have been taken out. `names`: those that there are. `aliases`: what they are called
 *  elsewhere, each with the name it has here. @throws RuntimeError `invalid_argument` naming one, and what may have been meant. */
export function refuseOthers(
  others: object,
  names: Readonly<Record<string, unknown>> = {},
  aliases: Readonly<Record<string, string>> = {},
): void {
  const [name] = Object.keys(others);
  if (name !== undefined) throw toRefusal(name, names, aliases);
}

/** The same for options that are taken for each request: nothing is copied. */
export function refuseStrangers(options: object, names: Readonly<Record<string, unknown>>): void {
  for (const name in options) if (names[name] !== true) throw toRefusal(name, names, {});
}

function toRefusal(
  name: string,
  names: Readonly<Record<string, unknown>>,
  aliases: Readonly<Record<string, string>>,
): RuntimeError {
  const known = [...Object.keys(names), ...Object.keys(aliases)];
  const meant = [...new Set(suggest(name, known).map((each) => aliases[each] ?? each))];
  const hint = meant.length > 0 ? `; did you mean ${meant.join(" or ")}?` : "";
  return new RuntimeError("invalid_argument", `${excerpt(name, 80)} is no option${hint}`);
}

/** @throws RuntimeError `invalid_argument` unless `value` is a whole number from `min` to `max`. */
export function assertWhole(name: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const limit = max === Number.MAX_SAFE_INTEGER ? "" : ` to ${max}`;
  throw new RuntimeError(
    "invalid_argument",
    `${name} must be a whole number from ${min}${limit}, got ${describeValue(value)}`,
  );
}

/** @throws RuntimeError `invalid_argument` unless `value` is true or false. */
export function assertSwitch(name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new RuntimeError("invalid_argument", `${name} must be true or false, got ${describeValue(value)}`);
}

/** @throws RuntimeError `invalid_argument` unless `value` is an object, whose members are what is read. */
export function assertObject(name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new RuntimeError("invalid_argument", `${name} must be an object, got ${describeValue(value)}`);
}

/** @throws RuntimeError `invalid_argument` unless `value` is a function. */
export function assertFunction(name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new RuntimeError("invalid_argument", `${name} must be a function, got ${describeValue(value)}`);
}

/** A name that no signal has would be waited for in vain, and two signals nobody can wait for. @throws RuntimeError `invalid_argument`. */
export function assertSignals(signals: readonly ShutdownSignal[]): void {
  const given: unknown = signals;
  if (!Array.isArray(given))
    throw new RuntimeError("invalid_argument", `shutdownSignals must be a list, got ${describeValue(given)}`);
  const isOne = (name: unknown): boolean =>
    name === "disconnect" ||
    (Object.hasOwn(constants.signals, name as string) && name !== "SIGKILL" && name !== "SIGSTOP");
  const wrong = given.findIndex((name) => !isOne(name));
  if (wrong < 0) return;
  const got = describeValue(given[wrong]);
  throw new RuntimeError(
    "invalid_argument",
    `shutdownSignals must be names such as SIGTERM, or disconnect, got ${got}`,
  );
}

/** The value of a setting that a program gives, held to what its text is held to. @throws RuntimeError `invalid_argument`. */
export function takeGiven<Value>(name: string, setting: Variable<Value>, value: Value): Value {
  const shown = setting.isSecret ? "(hidden)" : describeValue(value);
  const wanted = typeOf(setting.default);
  if (typeOf(value) !== wanted && !(setting.takesText && typeof value === "string"))
    throw new RuntimeError("invalid_argument", `${name} must be a ${wanted}, got ${shown}`);
  try {
    if (!setting.check) return setting.parse(String(value)); // of a list its members, with commas between
    setting.check(value);
    return value;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const got = wanted === "list" ? "" : `, got ${shown}`;
    throw new RuntimeError("invalid_argument", `${name}: ${reason}${got}`, { cause });
  }
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? "list" : typeof value;
}
