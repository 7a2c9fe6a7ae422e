/** What a setting is, and parsers of values for the tables of settings. */
import { isIP } from "node:net";

/** One documented variable. `parse` throws a plain Error whose message says what was expected. */
export interface Variable<Value> {
  readonly env: string;
  readonly default: Value;
  readonly help: string;
  readonly parse: (text: string) => Value;
  /** True if the value must not be shown, not even a bad one. */
  readonly isSecret?: boolean;
}

/** A variable that is a command-line flag, too. */
export interface Setting<Value> extends Variable<Value> {
  /** Name of the flag, without the dashes. */
  readonly flag: string;
}

/** A setting that is a whole number from `min` to `max`. */
export function numberSetting(env: string, flag: string, fallback: number, [min, max]: readonly [number, number], help: string): Setting<number> {
  return { env, flag, default: fallback, parse: wholeNumber(min, max), help };
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

export function plainText(text: string): string {
  return text;
}

/** The path of a file or directory, "" for none. Blanks and line ends around it, as files of variables leave them, are not meant. */
export function parsePath(text: string): string {
  const path = text.trim();
  if (path === "" && text !== "") throw new Error("expected a path, it is blank");
  return path;
}

/** A host name or an address; may be empty. */
export function parseHost(text: string): string {
  const isUsable = text === "" || isIP(text) !== 0 || /^[^\s:/[\]]{1,253}$/.test(text);
  if (!isUsable) throw new Error("expected a host name or an address, without port and brackets");
  return text;
}

/** Names of namespaces, components and endpoints (Dynamo component.rs: `^[a-z0-9-_]+$`). */
export function parseName(text: string): string {
  if (!/^[a-z0-9_-]{1,128}$/.test(text)) throw new Error("expected 1 to 128 characters of a-z, 0-9, - and _");
  return text;
}

/** The variables behind a configuration, one each. */
export type VariablesOf<Config> = { readonly [Name in keyof Config]-?: Variable<Config[Name]> };

/** The settings behind a configuration, one each. */
export type SettingsOf<Config> = { readonly [Name in keyof Config]-?: Setting<Config[Name]> };

/** A prefix of metric names. @throws Error saying what was expected. */
export function parsePrefix(text: string): string {
  if (!/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/.test(text)) throw new Error("expected 1 to 64 characters of a-z, A-Z, 0-9 and _, not beginning with a digit");
  return text;
}
