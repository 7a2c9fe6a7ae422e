/** Values for which msgpack has no form of its own: dates, maps of JavaScript, sets, lists of numbers in bytes, bigints that would arrive as numbers.
 *  Each travels as a map whose only key is nil, which no object has. Layout: {nil: [name of its kind, what it holds …]}. */
import { endianness } from "node:os";
import { types } from "node:util";

/** Digits of a bigint: to read a text of more takes too long. */
export const maxDigits = 1_024;

type NumberListName =
  | "Int8Array"
  | "Uint8ClampedArray"
  | "Int16Array"
  | "Uint16Array"
  | "Int32Array"
  | "Uint32Array"
  | "Float32Array"
  | "Float64Array"
  | "BigInt64Array"
  | "BigUint64Array";
type Kind = "Map" | "Set" | "Date" | NumberListName;

const numberLists = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} satisfies Readonly<Record<NumberListName, unknown>>;
type NumberList = InstanceType<(typeof numberLists)[NumberListName]>;

/** What kind of these `value` is; undefined if it is none, or an instance of a class that extends one. Never runs code of the value, unless that is a proxy. */
export function kindOf(value: object): Kind | undefined {
  if (types.isTypedArray(value)) {
    const name = value[Symbol.toStringTag];
    return isNumberList(name) && levelsOf(value) === 3 ? name : undefined;
  }
  const kind = types.isMap(value) ? "Map" : types.isSet(value) ? "Set" : types.isDate(value) ? "Date" : undefined;
  return kind !== undefined && levelsOf(value) === 2 ? kind : undefined;
}

// Prototypes of a value: of whatever realm they are, the built-in ones have their place.
function levelsOf(value: object): number {
  let levels = 0;
  for (let at: unknown = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) levels += 1;
  return levels;
}

function isNumberList(name: unknown): name is NumberListName {
  return typeof name === "string" && Object.hasOwn(numberLists, name);
}

/** True for a bigint that a reader would take for a number, or that has more than 64 bits. */
export function isTaggedBigint(value: bigint): boolean {
  const isNumber = value >= -(2n ** 53n) && value <= 2n ** 53n;
  return isNumber || value < -(2n ** 63n) || value >= 2n ** 64n;
}

/** The value in what msgpack has: a copy, where something in it must be tagged. It has been looked through. */
export function toTagged(value: unknown): unknown {
  if (typeof value === "bigint") return isTaggedBigint(value) ? tag("bigint", [value.toString()]) : value;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(toTagged);
  const kind = kindOf(value);
  if (kind !== undefined) return tag(kind, partsOf(kind, value));
  const copy: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) set(copy, key, toTagged(inner));
  return copy;
}

const tag = (kind: string, parts: readonly unknown[]): Map<null, unknown> => new Map([[null, [kind, ...parts]]]);

function partsOf(kind: Kind, value: object): readonly unknown[] {
  if (kind === "Date") return [(value as Date).getTime()]; // `kindOf` has looked
  if (kind === "Set") return [...(value as Set<unknown>)].map(toTagged);
  if (kind === "Map") return [...(value as Map<unknown, unknown>)].flat().map(toTagged);
  return [toLittleEndian(value as NumberList)];
}

/** What was tagged, as it was; maps with text keys become objects. `value` has maps for maps. @throws Error on a tag that says nothing. */
export function fromTagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromTagged);
  if (!(value instanceof Map)) return value;
  if (value.size === 1 && value.has(null)) return untag(value.get(null));
  const object: Record<string, unknown> = {};
  for (const [key, inner] of value) {
    if (typeof key === "object") throw new TypeError("a key is no scalar");
    set(object, String(key), fromTagged(inner));
  }
  return object;
}

// An assignment to the key `__proto__` would set a prototype.
function set(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

function untag(tagged: unknown): unknown {
  const [kind, ...parts]: readonly unknown[] = Array.isArray(tagged) ? tagged : [];
  const [part] = parts;
  if (kind === "Set") return new Set(parts.map(fromTagged));
  if (kind === "Map" && parts.length % 2 === 0) return toMap(parts.map(fromTagged));
  if (parts.length === 1 && kind === "Date" && isTime(part)) return new Date(part);
  if (parts.length === 1 && kind === "bigint" && isDigits(part)) return BigInt(part);
  if (parts.length === 1 && isNumberList(kind) && part instanceof Uint8Array) return toNumberList(kind, part);
  throw new TypeError("a tag says nothing that is known");
}

function toMap(parts: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (let index = 0; index < parts.length; index += 2) map.set(parts[index], parts[index + 1]);
  return map;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

function isDigits(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxDigits + 1 && /^-?\d+$/.test(value);
}

function toNumberList(name: NumberListName, bytes: Uint8Array): NumberList {
  const constructor = numberLists[name];
  if (bytes.length % constructor.BYTES_PER_ELEMENT !== 0) throw new TypeError("a list of numbers ends within one");
  const list = new constructor(bytes.length / constructor.BYTES_PER_ELEMENT);
  const own = Buffer.from(list.buffer); // a copy, since they may begin anywhere
  own.set(bytes);
  swapped(own, constructor.BYTES_PER_ELEMENT);
  return list;
}

function toLittleEndian(list: NumberList): Uint8Array {
  const bytes = Buffer.from(list.buffer, list.byteOffset, list.byteLength);
  return endianness() === "LE" ? bytes : swapped(Buffer.from(bytes), list.BYTES_PER_ELEMENT);
}

// In place, where this machine's numbers are the other way round.
function swapped(bytes: Buffer, size: number): Buffer {
  if (endianness() === "LE" || size === 1) return bytes;
  if (size === 2) return bytes.swap16();
  return size === 4 ? bytes.swap32() : bytes.swap64();
}
