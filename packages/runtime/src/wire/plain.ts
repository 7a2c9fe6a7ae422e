/** Looks through a value before it is encoded: what would not arrive as it is has no place in a payload. */
import { maxContainers, maxDepth, maxValues } from "./msgpack-check.ts";

const maxPathChars = 200;
const tooMany = `holds more than ${maxValues} values`;

// ES2026; TypeScript's libraries do not have it yet.
const { isRawJSON } = JSON as typeof JSON & { isRawJSON(this: void, value: unknown): boolean };

/** @returns a sentence that begins with the place of what is no plain data, for example `messages[0].text holds half of a surrogate pair`. */
export function findForeign(value: unknown): string | undefined {
  const walk = new Walk();
  const fault = walk.visit(value, 0);
  return fault === undefined ? undefined : `${walk.formatPath()} ${fault}`;
}

class Walk {
  #containers = 0;
  #values = 0;
  // From the fault upwards; empty as long as there is none.
  #path: string[] = [];
  // The fault is in the size of a part: a path to the end would be the whole of it.
  #isLarge = false;

  visit(value: unknown, depth: number): string | undefined {
    if (typeof value === "string") return value.isWellFormed() ? undefined : "holds half of a surrogate pair";
    if (typeof value !== "object" || value === null) return describeScalar(value);
    if (value instanceof Uint8Array) return undefined;
    this.#containers += 1;
    this.#isLarge = true;
    if (depth >= maxDepth) return `is nested deeper than ${maxDepth} levels`;
    if (this.#containers > maxContainers) return `holds more than ${maxContainers} lists and maps`;
    this.#isLarge = false;
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

  #map(map: object, depth: number): string | undefined {
    const kind = toForeignKind(map);
    if (kind !== undefined) return `is a ${kind}, which is no plain data`;
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

function describeScalar(value: unknown): string | undefined {
  if (typeof value === "function" || typeof value === "symbol") return `is a ${typeof value}`;
  if (typeof value === "bigint" && (value < -(2n ** 63n) || value >= 2n ** 64n))
    return "is an integer of more than 64 bits";
  return undefined;
}

// Instances of somebody's own class are maps, unless they say that they are to be written as something else.
function toForeignKind(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) return undefined;
  if (prototype === null) return isRawJSON(value) ? "JSON.rawJSON" : undefined;
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (kind !== "Object") return kind;
  return "toJSON" in value ? value.constructor.name || "class with toJSON" : undefined;
}
