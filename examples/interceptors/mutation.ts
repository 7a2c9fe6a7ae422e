// What changes on the way: fields that requests leave out, and fields that nobody is to see.
import type { Interceptor } from "@dyn/runtime";

type Fields = Readonly<Record<string, unknown>>;

/** Fills in what a request leaves out. */
export function defaults(fields: Fields): Interceptor {
  return (next) => (call) => next(isFields(call.request) ? { ...call, request: { ...fields, ...call.request } } : call);
}

/** Hides the fields of these names in every item, however deep they are. */
export function redacted(...names: readonly string[]): Interceptor {
  const hidden = new Set(names);
  return (next) =>
    async function* (call) {
      for await (const item of next(call)) yield redact(item, hidden);
    };
}

function redact(value: unknown, hidden: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((each) => redact(each, hidden));
  if (!isFields(value)) return value;
  const shown = Object.entries(value).map(([name, each]) => [name, hidden.has(name) ? "***" : redact(each, hidden)]);
  return Object.fromEntries(shown);
}

// A plain object: a date, a map or bytes have no fields of their own.
function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
