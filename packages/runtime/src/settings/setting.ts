/** What a setting is, and parsers of values for the tables of settings. */
import { isIP } from "node:net";

/** One documented variable. `parse` throws a plain Error whose message says what was expected. It leaves out blanks and line ends around a
 *  value: files of variables and scripts put them there, and nobody sees them. */
export interface Variable<Value> {
  readonly env: string;
  readonly default: Value;
  /** The default as the variable has it, where that is not its JSON. */
  readonly shownDefault?: string;
  readonly help: string;
  readonly parse: (text: string) => Value;
  /** Throws as `parse` does, for a value that a program gives. Default: `parse`, of its text. */
  check?(value: Value): void;
  /** True if programs may give its text, too. */
  readonly takesText?: boolean;
  /** True if the value must not be shown, not even a bad one. */
  readonly isSecret?: boolean;
}

/** A variable that is a command-line flag, too. */
export interface Setting<Value> extends Variable<Value> {
  /** Name of the flag, without the dashes. */
  readonly flag: string;
}

/** A setting that is a number from `min` to `max`. */
export interface NumberSetting extends Setting<number> {
  readonly range: readonly [min: number, max: number];
}

/** A setting that is a whole number from `min` to `max`. */
export function numberSetting(
  env: string,
  flag: string,
  fallback: number,
  range: NumberSetting["range"],
  help: string,
): NumberSetting {
  return { env, flag, default: fallback, range, parse: wholeNumber(...range), help };
}

export const mebibyte: number = 1024 * 1024;
export const second = 1_000;

/** A setting that people write in larger units than the code has: `unit` bytes, or ms. Programs may give a part of one. */
export function inUnits(unit: number, { default: fallback, range, parse, ...setting }: NumberSetting): Setting<number> {
  const [min, max] = range;
  return {
    ...setting,
    default: fallback * unit,
    shownDefault: `${fallback}`,
    parse: (text) => parse(text) * unit,
    check: (value) => void decimalNumber(Math.min(min, 1), max * unit)(String(value)),
  };
}

/** The default as `--help` and the documents show it. */
export function formatDefault({ default: fallback, shownDefault }: Variable<unknown>): string {
  return shownDefault ?? JSON.stringify(fallback);
}

const truthy = /^(?:1|true|on|yes)$/i;
const falsy = /^(?:0|false|off|no)$/i;

/** 1|true|on|yes and 0|false|off|no, trimmed, in any case (Dynamo lib/truthy). */
export function parseSwitch(text: string): boolean {
  const word = text.trim();
  if (truthy.test(word)) return true;
  if (falsy.test(word)) return false;
  throw new Error("expected one of 1, true, on, yes, 0, false, off, no");
}

/** A parser for whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Error(`expected a whole number from ${min} to ${max}`);
    return value;
  };
}

/** A parser for decimal numbers from `min` to `max`. */
export function decimalNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!(value >= min && value <= max)) throw new Error(`expected a number from ${min} to ${max}`);
    return value;
  };
}

/** A parser for one word of a closed set. */
export function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((word) => word === text.trim());
    if (found === undefined) throw new Error(`expected one of ${words.join(", ")}`);
    return found;
  };
}

/** One line of text; may be empty. */
export function plainText(text: string): string {
  const line = text.trim();
  if (/\p{Cc}/u.test(line)) throw new Error("expected text without line ends and other control characters");
  return line;
}

/** The path of a file or directory, "" for none. Blanks and line ends around it, as files of variables leave them, are not meant. */
export function parsePath(text: string): string {
  const path = text.trim();
  if (path === "" && text !== "") throw new Error("expected a path, it is blank");
  return path;
}

/** A parser that takes what `parse` takes, or an empty text for none. */
export function optional(parse: (text: string) => string): (text: string) => string {
  return (text) => (text === "" ? "" : parse(text));
}

/** A host name or an address; that of IPv6 may have brackets, as in a URL. */
export function parseHost(text: string): string {
  const host = text.trim();
  const address = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (isIP(address) === 6) return address;
  if (!/^[^\s:/[\]\p{Cc}]{1,253}$/u.test(host)) throw new Error("expected a host name or an address, without port");
  return host;
}

/** Names of namespaces, components and endpoints (Dynamo component.rs: `^[a-z0-9-_]+$`). */
export function parseName(text: string): string {
  const name = text.trim();
  if (!/^[a-z0-9_-]{1,128}$/.test(name)) throw new Error("expected 1 to 128 characters of a-z, 0-9, - and _");
  return name;
}

/** The variables behind a configuration, one each. */
export type VariablesOf<Config> = { readonly [Name in keyof Config]-?: Variable<Config[Name]> };

/** The settings behind a configuration, one each. */
export type SettingsOf<Config> = { readonly [Name in keyof Config]-?: Setting<Config[Name]> };

/** A prefix of metric names. @throws Error saying what was expected. */
export function parsePrefix(text: string): string {
  const prefix = text.trim();
  if (!/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/.test(prefix))
    throw new Error("expected 1 to 64 characters of a-z, A-Z, 0-9 and _, not beginning with a digit");
  return prefix;
}
