/** An error as one text: its stack, then what caused it. */
import { inspect } from "node:util";

/** Of one chain, the first included. */
const maxErrors = 6;
/** Of a cause that is no Error. */
const maxOtherChars = 1_024;

/** Each with the code and the address that its message leaves out: `fetch failed` says nothing, the error below it does. Never throws. */
export function formatError(error: Error): string {
  const parts: string[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown, lead: string): void => {
    if (value === undefined || seen.has(value) || parts.length === maxErrors) return;
    seen.add(value);
    parts.push(lead + describe(value));
    if (!isError(value)) return;
    const { cause, several } = readCauses(value);
    visit(cause, "caused by: ");
    for (const each of several) visit(each, "one of several: ");
  };
  visit(skipWrapper(error), "");
  return parts.join("\n");
}

/** Never throws: the value may be a Proxy with a trap. */
export function isError(value: unknown): value is Error {
  return attempt(() => value instanceof Error, false);
}

// Getters and traps of what foreign code has thrown are foreign code too.
function attempt<Result>(read: () => Result, otherwise: Result): Result {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

// A foreign error that has been given a code says the same twice; its own stack tells where it began.
function skipWrapper(error: Error): Error {
  return attempt(
    () => (error.cause instanceof Error && error.cause.message === error.message ? error.cause : error),
    error,
  );
}

// `errors` are those of an AggregateError.
function readCauses(error: Error): { readonly cause: unknown; readonly several: readonly unknown[] } {
  return {
    cause: attempt(() => error.cause, undefined),
    several: attempt(
      () => ("errors" in error && Array.isArray(error.errors) ? error.errors.slice(0, maxErrors) : []),
      [],
    ),
  };
}

function describe(value: unknown): string {
  return attempt(
    () => (value instanceof Error ? describeError(value) : describeOther(value)),
    "something that cannot be read",
  );
}

// The facts stand after the message, before the first frame.
function describeError(error: Error): string {
  const text = error.stack ?? `${error.name}: ${error.message}`;
  const at = text.indexOf("\n    at ");
  const head = at < 0 ? text : text.slice(0, at);
  const { code, address, port } = error as { code?: unknown; address?: unknown; port?: unknown }; // any object may be read by key
  const place = typeof address === "string" ? `${address}${typeof port === "number" ? `:${port}` : ""}` : undefined;
  const facts = [code, place].filter((fact) => typeof fact === "string" && !head.includes(fact));
  return facts.length === 0 ? text : `${head} (${facts.join(", ")})${text.slice(head.length)}`;
}

function describeOther(value: unknown): string {
  const text = typeof value === "string" ? value : inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY });
  return text.slice(0, maxOtherChars);
}
