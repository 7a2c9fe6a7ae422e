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

// The key `__proto__` included, which is invisible to a comparison of objects.
function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}n` : inner));
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
    ["a date", new Date(0), "the value is a Date, which is no plain data"],
    ["a date that is none", { name: "x", since: new Date(Number.NaN) }, "since is a Date, which is no plain data"],
    ["a set in a list", { names: [["x"], [new Set()]] }, "names[1][0] is a Set, which is no plain data"],
    ["a map object", new Map(), "the value is a Map, which is no plain data"],
    ["floats in their array", { result: [new Float32Array(2)] }, "result[0] is a Float32Array, which is no plain data"],
    ["a class with toJSON", { at: new URL("http://x") }, "at is a URL, which is no plain data"],
    ["an integer of more than 64 bits", { counts: [2n ** 64n] }, "counts[0] is an integer of more than 64 bits"],
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
