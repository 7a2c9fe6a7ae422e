/** Items as JSON: what a handler may give and JSON has no form for gets one, or is one clear error. */
import { RuntimeError } from "@dyn/runtime";

/** JSON of an item. Bytes become base64, bigints the text of their digits, dates ISO 8601, sets and lists of numbers lists, maps objects, NaN and infinities null.
 *  @throws RuntimeError `unimplemented` for a map whose keys are no names. */
export function toItemJson(item: unknown): string {
  return JSON.stringify(item, replace) ?? "null";
}

// Dates have been written when this sees them.
function replace(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (value instanceof Map) return toObject(value as Map<unknown, unknown>);
  return ArrayBuffer.isView(value) ? [...(value as unknown as Iterable<unknown>)] : value; // no DataView crosses the plane
}

function toBase64({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("base64");
}

function toObject(map: ReadonlyMap<unknown, unknown>): object {
  const entries = [...map].map(([key, value]) => [toName(key), value] as const);
  const object: object = Object.fromEntries(entries); // which takes `__proto__` for a name like others
  if (Object.keys(object).length === map.size) return object;
  throw new RuntimeError(
    "unimplemented",
    'the answer holds a Map in which two keys have one name in JSON, such as 1 and "1"',
  );
}

function toName(key: unknown): string {
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "bigint" || typeof key === "boolean") return String(key);
  throw new RuntimeError(
    "unimplemented",
    "the answer holds a Map with a key that is no text, number or boolean: JSON has no form for it",
  );
}
