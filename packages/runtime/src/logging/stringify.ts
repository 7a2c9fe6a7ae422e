/** JSON of values that foreign code made. */
import { formatError, isError } from "./causes.ts";

/** pino's own, for what JSON has no form for: cycles become `[Circular]`. */
export type StringifyOther = (value: unknown, replacer: (key: string, value: unknown) => unknown) => string | undefined;

/** JSON of any value; undefined for what has none, such as a function. An error is one text, a bigint its digits. Never throws: a getter or a trap may. */
export function stringify(value: unknown, stringifyOther?: StringifyOther): string | undefined {
  if (typeof value === "bigint") return `"${value}"`;
  if (isError(value)) return JSON.stringify(formatError(value));
  try {
    return JSON.stringify(value);
  } catch {
    return attempt(() => stringifyOther?.(value, toPlain)) ?? '"[not serialisable]"';
  }
}

function attempt(make: () => string | undefined): string | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

function toPlain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
