/** Halves of characters: JSON can write a surrogate without its other half, which no UTF-8 can hold. On its way to an engine it would become another text. */
import { RuntimeError } from "@dyn/runtime";

/** Where a container stands: read from the inside out. */
interface Place {
  readonly value: object;
  /** Undefined = the body itself. */
  readonly parent: Place | undefined;
  readonly key: string | number;
}

/** One pattern, because it takes the same time for any text: to look for a text takes ten times as long among millions of backslashes. */
const escapedHalf = /\\u[dD]/;

/** False if all of a text's characters are whole once it is parsed; UTF-8 itself has no halves. */
export function mayHoldHalves(json: string): boolean {
  return escapedHalf.test(json);
}

/** @throws RuntimeError `invalid_argument` that names the text of a parsed body whose characters are not whole. */
export function assertWhole(body: unknown): void {
  const open: Place[] = [];
  const look = (value: unknown, parent: Place | undefined, key: string | number): void => {
    if (typeof value === "string" && !value.isWellFormed()) throw toError(`${formatPath(parent, key)} holds`, value);
    if (typeof value === "object" && value !== null) open.push({ value, parent, key });
  };
  look(body, undefined, "");
  for (let place = open.pop(); place; place = open.pop()) {
    const { value } = place;
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) look(value[index], place, index);
      continue;
    }
    for (const [key, item] of Object.entries(value)) {
      if (!key.isWellFormed()) throw toError(`a key of ${formatPath(place.parent, place.key)} holds`, key);
      look(item, place, key);
    }
  }
}

function toError(what: string, text: string): RuntimeError {
  const at = text.search(/\p{Surrogate}/u);
  const half = text.charCodeAt(at).toString(16);
  return new RuntimeError(
    "invalid_argument",
    `${what} half of a character: \\u${half} at position ${at} has no other half`,
  );
}

const maxShown = 256;

function formatPath(parent: Place | undefined, key: string | number): string {
  const keys = [key];
  for (let place = parent; place; place = place.parent) keys.push(place.key);
  const path = keys
    .reverse()
    .map((each) => (typeof each === "number" ? `[${each}]` : `.${each}`))
    .join("");
  return path.replace(/^\.+/, "").slice(0, maxShown) || "the request body";
}
