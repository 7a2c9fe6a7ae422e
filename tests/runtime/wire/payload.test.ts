// What payloads of msgpack can carry, and what is refused by the reader and by the sender.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { maxHelloBytes } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import { decodePayload, encodePayload } from "../../../packages/runtime/src/wire/payload.ts";

const anyText = fc.string({ unit: "grapheme", maxLength: 60 });
const anyPlain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
    fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 64n - 1n }),
    anyText,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(anyText, fc.constant("__proto__")), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

const anyList = fc.oneof(
  fc.float32Array({ noNaN: true }),
  fc.float64Array({ noNaN: true }),
  fc.int8Array(),
  fc.uint8ClampedArray(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
);
const anyTagged = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    anyPlain,
    fc.date({ noInvalidDate: true }),
    fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
    anyList,
    fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(tie("value"), { maxLength: 4 }).map((values) => new Set(values)),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.dictionary(fc.oneof(anyText, fc.constant("__proto__")), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

// A Buffer is the Uint8Array that arrives.
function withoutBuffers(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(withoutBuffers);
  if (value instanceof Set) return new Set([...value].map(withoutBuffers));
  if (value instanceof Map)
    return new Map([...value].map(([key, inner]) => [withoutBuffers(key), withoutBuffers(inner)]));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutBuffers(inner)]));
}

// The key `__proto__` included, which is invisible to a comparison of objects.
function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}n` : inner));
}

class Cache extends Map<string, number> {}
class Vector extends Float32Array {}
class Point {
  x = 1;
}

describe("payloads", () => {
  test("payloads of plain data return as they were, u64 included", () => {
    fc.assert(
      fc.property(anyPlain, (value) => {
        const decoded = decodePayload(encodePayload(value), "x");
        expect(decoded).toEqual(value);
        expect(toJson(decoded)).toBe(toJson(value));
      }),
    );
    expect(decodePayload(encodePayload({ a: undefined }), "x")).toEqual({ a: null });
  });

  test("dates, maps, sets, lists of numbers and bigints of any size return as what they were", () => {
    fc.assert(
      fc.property(anyTagged, (value) => {
        expect(withoutBuffers(decodePayload(encodePayload(value), "x"))).toStrictEqual(withoutBuffers(value));
      }),
    );
    const part = new Float32Array(8).fill(1.5).subarray(3, 5);
    expect(decodePayload(encodePayload(part), "x")).toStrictEqual(Float32Array.of(1.5, 1.5));
    expect(decodePayload(encodePayload({ small: 7n, number: 7 }), "x")).toStrictEqual({ small: 7n, number: 7 });
  });

  test("what a peer reads of a date, a map and a bigint is what docs/wire-format.md says", () => {
    const hex = (value: unknown): string => encodePayload(value).toString("hex");
    expect(hex(new Date(1))).toBe("81c092a44461746501");
    expect(hex(new Map([["a", 1]]))).toBe("81c093a34d6170a16101");
    expect(hex(7n)).toBe("81c092a6626967696e74a137");
    expect(hex(Float32Array.of(1))).toBe("81c092ac466c6f617433324172726179c4040000803f");
    expect(hex(2n ** 63n)).toBe("cf8000000000000000");
  });

  test("a key `__proto__` arrives under its name and sets no prototype", () => {
    const text = '{"a":[{"__proto__":{"type":"object"},"b":1}],"__proto__":"__proto__"}';
    const decoded = decodePayload(encodePayload(JSON.parse(text)), "x");
    expect(JSON.stringify(decoded)).toBe(text);
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
  });

  test.each([
    ["the reserved byte", "c1"],
    ["the reserved byte inside a list", "91c1"],
    ["an extension", "d40101"],
    ["the extension for undefined", "d40001"],
    ["the extension for undefined in a list", "91d40001"],
    ["a timestamp extension", "d6ff00000000"],
    ["a record definition", "d4724093a161a162a163"],
    ["two values", "0101"],
    ["nothing", ""],
    ["a cut string", "a5616263"],
    ["a list longer than its bytes", "ddffffffff"],
    ["a map longer than its bytes", "dfffffffff"],
    ["a number cut short", "cb3ff0"],
    ["an integer of more than 64 bits", "c70a427f7f7f7f7f7f7f7f7f7f"],
    ["a tag that is no list", "81c001"],
    ["a tag without a kind", "81c090"],
    ["a tag of no known kind", "81c092a3466f6f01"],
    ["a map that ends with a key", "81c092a34d617001"],
    ["a date beyond time", "81c092a444617465cb7fefffffffffffff"],
    ["a date that is no number", "81c092a444617465a131"],
    ["a bigint that is none", "81c092a6626967696e74a3307866"],
    ["floats that end within one", "81c092ac466c6f617433324172726179c403000080"],
    ["text that is no UTF-8", "a2c328"],
    ["long text that is no UTF-8", `d940${"41".repeat(62)}c328`],
    ["65 levels", `${"91".repeat(65)}c0`],
    ["100000 levels", `${"91".repeat(100_000)}c0`],
  ])("a payload with %s is refused", (_name, hex) => {
    expect(() => decodePayload(Buffer.from(hex, "hex"), "payload")).toThrow(RuntimeError);
  });

  test("values up to the reader's depth are encoded, deeper ones are refused by name, however deep", () => {
    const nest = (levels: number): unknown => {
      let value: unknown = [];
      for (let level = 1; level < levels; level += 1) value = level % 2 === 0 ? [0, value] : { inner: value };
      return value;
    };
    const fits = { name: "x", tools: nest(63) };
    expect(decodePayload(encodePayload(fits), "payload")).toEqual(fits);
    for (const levels of [64, 70, 100_000]) {
      expect(() => encodePayload({ name: "x", tools: nest(levels) })).toThrow("tools is nested deeper than 64 levels");
      expect(() => encodePayload(nest(levels + 1))).toThrow(/is nested deeper than 64 levels/);
    }
    for (const inner of [new Date(0), 7n, new Map(), new Set()]) {
      const around = (levels: number): unknown => (levels === 0 ? inner : [around(levels - 1)]);
      expect(decodePayload(encodePayload(around(62)), "payload")).toStrictEqual(around(62));
      expect(() => encodePayload(around(63))).toThrow(/is nested deeper than 64 levels/);
    }
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => encodePayload(cycle)).toThrow("the value is nested deeper than 64 levels");
    expect(decodePayload(encodePayload(new Uint8Array(1_000)), "payload")).toHaveLength(1_000);
  });

  // Each list of 40 holds the one before it twice: as objects they are few, walked they are 2^40.
  test("a payload whose lists hold each other is refused at once", () => {
    const reference = (type: string, id: number): string => `d6${type}${id.toString(16).padStart(8, "0")}`;
    const lists = Array.from(
      { length: 40 },
      (_, index) => `${reference("69", index + 1)}92${reference("70", index).repeat(2)}`,
    );
    const bytes = Buffer.from(`81a161dc0029${reference("69", 0)}9101${lists.join("")}`, "hex");
    expect(bytes.length).toBeLessThan(maxHelloBytes);
    expect(() => decodeHello(bytes)).toThrow("HELLO holds a msgpack extension type");
  });

  test("a payload holds a number of lists and maps that its reader can bear, and is refused by its sender beyond", () => {
    const most = 262_144;
    const bytes = Buffer.alloc(5 + most, 0x80);
    bytes.writeUInt32BE(most - 1, 1);
    bytes[0] = 0xdd;
    expect(decodePayload(bytes.subarray(0, -1), "payload")).toHaveLength(most - 1);
    bytes.writeUInt32BE(most, 1);
    expect(() => decodePayload(bytes, "payload")).toThrow("payload holds more than 262144 lists and maps");
    const tools = Array.from({ length: most }, () => []);
    expect(() => encodePayload({ name: "x", tools })).toThrow("tools holds more than 262144 lists and maps");
  });

  test("a payload holds a number of values that its reader can bear, and is refused by its sender beyond", () => {
    const most = 4_194_304;
    const bytes = Buffer.alloc(5 + most + 1, 0x01);
    bytes[0] = 0xdd;
    bytes.writeUInt32BE(most, 1);
    expect(decodePayload(bytes.subarray(0, -1), "payload")).toHaveLength(most);
    bytes.writeUInt32BE(most + 1, 1);
    expect(() => decodePayload(bytes, "payload")).toThrow("payload holds more than 4194304 values");
    const ids = Array<number>(most).fill(1);
    expect(encodePayload(ids).length).toBe(5 + most);
    expect(() => encodePayload({ prompt: { ids } })).toThrow("prompt holds more than 4194304 values");
  });

  const half = "\ud83d";
  const getter = Object.defineProperty({}, "secret", {
    enumerable: true,
    get() {
      throw new Error("not yours");
    },
  });
  test.each([
    ["a date that is none", { name: "x", since: new Date(Number.NaN) }, "since is a Date of no time"],
    [
      "a promise in a list",
      { names: [["x"], [Promise.resolve()]] },
      "names[1][0] is a Promise, which is no plain data",
    ],
    [
      "a function in a map",
      {
        all: new Map([
          ["a", 1],
          ["b", () => 1],
        ] as [string, unknown][]),
      },
      "all{1} is a function",
    ],
    ["a symbol in a set", [new Set([1, Symbol("x")])], "[0]{1} is a symbol"],
    ["a Map of a class", { at: [new Cache()] }, "at[0] is a Cache, which is no plain data"],
    ["a list of numbers of a class", new Vector(2), "the value is a Vector, which is no plain data"],
    ["an instance of a class", { at: new Point() }, "at is a Point, which is no plain data"],
    ["an ArrayBuffer", { bytes: new ArrayBuffer(1) }, "bytes is a ArrayBuffer, which is no plain data"],
    ["a class with toJSON", { at: new URL("http://x") }, "at is a URL, which is no plain data"],
    ["an integer that is too long", { counts: [10n ** 1_024n] }, "counts[0] is an integer of more than 1024 digits"],
    ["a function", { on: { end: () => 1 } }, "on.end is a function"],
    ["a symbol", [Symbol("x")], "[0] is a symbol"],
    [
      "half of a surrogate pair",
      { messages: [{ text: `a${half}` }] },
      "messages[0].text holds half of a surrogate pair",
    ],
    ["half of a surrogate pair in long text", { text: half.repeat(100) }, "text holds half of a surrogate pair"],
    ["half of a surrogate pair in a key", { maps: { [half]: 1 } }, "maps has a key with half of a surrogate pair"],
    ["a getter that throws", { a: getter }, "the value cannot be read"],
  ])("%s is refused by its sender, by its place", (_name, value, message) => {
    expect(() => encodePayload(value)).toThrow(new RuntimeError("invalid_argument", message));
  });
});
