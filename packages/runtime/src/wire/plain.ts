/** Looks through a value before it is encoded: what would not arrive as it is has no place in a payload. */
import { maxContainers, maxDepth, maxValues } from "./msgpack-check.ts";
import { isTaggedBigint, kindOf, maxDigits } from "./tagged.ts";

const maxPathChars = 200;
const tooMany = `holds more than ${maxValues} values`;

// ES2026; TypeScript's libraries do not have it yet.
const { isRawJSON } = JSON as typeof JSON & { isRawJSON(this: void, value: unknown): boolean };

/** What a look through a value has found. */
export interface Findings {
  /** A sentence that begins with the place of what is no plain data, for example `messages[0].text holds half of a surrogate pair`. */
  readonly foreign: string | undefined;
  /** Something must be tagged. */
  readonly hasTagged: boolean;
}

/** Look through the whole of `value`. Throws what its getters and traps throw. */
export function lookThrough(value: unknown): Findings {
  const walk = new Walk();
  const fault = walk.visit(value, 0);
  const foreign = fault === undefined ? undefined : `${walk.formatPath()} ${fault}`;
  return { foreign, hasTagged: walk.hasTagged };
}

class Walk {
  hasTagged = false;
  #containers = 0;
  #values = 0;
  // From the fault upwards; empty as long as there is none.
  #path: string[] = [];
  // The fault is in the size of a part: a path to the end would be the whole of it.
  #isLarge = false;

  visit(value: unknown, depth: number): string | undefined {
    if (typeof value === "string") return value.isWellFormed() ? undefined : "holds half of a surrogate pair";
    if (typeof value === "bigint") return this.#bigint(value, depth);
    if (typeof value === "function" || typeof value === "symbol") return `is a ${typeof value}`;
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return undefined;
    const fault = this.#enter(depth);
    if (fault !== undefined) return fault;
    return Array.isArray(value) ? this.#list(value, depth) : this.#map(value, depth);
  }

  #list(list: readonly unknown[], depth: number): string | undefined {
    if (this.#isFull(list.length)) return tooMany;
    for (let index = 0; index < list.length; index += 1) {
      const fault = this.visit(list[index], depth + 1);
      if (fault === undefined) continue;
      this.#path.push(`[${index}]`);
      return fault;
    }
    return undefined;
  }

  #bigint(value: bigint, depth: number): string | undefined {
    if (!isTaggedBigint(value)) return undefined;
    if (value >= mostBigint || value <= -mostBigint) return `is an integer of more than ${maxDigits} digits`;
    return this.#enter(depth) ?? this.#enterTag(depth, 1);
  }

  #map(map: object, depth: number): string | undefined {
    const prototype: unknown = Object.getPrototypeOf(map);
    if (prototype === null && isRawJSON(map)) return "is a JSON.rawJSON, which is no plain data";
    if (prototype !== Object.prototype && prototype !== null && !isOfOtherRealm(prototype))
      return this.#instance(map, depth);
    const keys = Object.keys(map);
    if (this.#isFull(2 * keys.length)) return tooMany;
    for (const key of keys) {
      if (!key.isWellFormed()) return "has a key with half of a surrogate pair";
      const fault = this.visit((map as Record<string, unknown>)[key], depth + 1); // any object may be read by key
      if (fault === undefined) continue;
      this.#path.push(`.${key}`);
      return fault;
    }
    return undefined;
  }

  #instance(value: object, depth: number): string | undefined {
    const kind = kindOf(value);
    if (kind === undefined) return `is a ${nameOf(value)}, which is no plain data`;
    if (kind === "Date" && Number.isNaN((value as Date).getTime())) return "is a Date of no time"; // `kindOf` has looked
    const parts = kind === "Map" || kind === "Set" ? [...(value as Iterable<unknown>)] : [];
    const fault = this.#enterTag(depth, kind === "Map" ? 2 * parts.length : parts.length);
    if (fault !== undefined) return fault;
    for (const [index, part] of parts.entries()) {
      const inside = kind === "Map" ? this.#entry(part as [unknown, unknown], depth + 2) : this.visit(part, depth + 2);
      if (inside === undefined) continue;
      this.#path.push(`{${index}}`);
      return inside;
    }
    return undefined;
  }

  #entry([key, inner]: readonly [unknown, unknown], depth: number): string | undefined {
    return this.visit(key, depth) ?? this.visit(inner, depth);
  }

  // A tag is a map, which has been entered, with a list in it.
  #enterTag(depth: number, parts: number): string | undefined {
    this.hasTagged = true;
    if (this.#isFull(3 + parts)) return tooMany;
    return this.#enter(depth + 1);
  }

  #enter(depth: number): string | undefined {
    this.#containers += 1;
    this.#isLarge = true;
    if (depth >= maxDepth) return `is nested deeper than ${maxDepth} levels`;
    if (this.#containers > maxContainers) return `holds more than ${maxContainers} lists and maps`;
    this.#isLarge = false;
    return undefined;
  }

  #isFull(more: number): boolean {
    this.#values += more;
    this.#isLarge = this.#values > maxValues;
    return this.#isLarge;
  }

  formatPath(): string {
    const names = this.#path.toReversed();
    const path = (this.#isLarge ? names.slice(0, 1).filter((name) => name.startsWith(".")) : names)
      .join("")
      .replace(/^\./, "");
    return path === "" ? "the value" : path.slice(0, maxPathChars).toWellFormed();
  }
}

const mostBigint = 10n ** BigInt(maxDigits);

// What objects have for a prototype where another context of V8 has made them.
function isOfOtherRealm(prototype: unknown): boolean {
  return Object.getPrototypeOf(prototype) === null;
}

function nameOf(value: object): string {
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  const own = typeof value.constructor === "function" ? value.constructor.name : ""; // of one that extends a Map: not Map
  return own || (kind === "Object" ? "class" : kind);
}
