// Values that the mock makes of JSON Schemas are what the schemas say, judged by a validator, and the same each time.
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { toInstance } from "../../packages/mock-worker/src/answers/schema-instance.ts";

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (validator: Ajv2020) => void)(ajv);

const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name"],
};

const schemas: readonly (readonly [string, object, unknown])[] = [
  ["required properties only", person, { name: "name" }],
  [
    "all, where none is required",
    { properties: { a: { type: "boolean" }, b: { type: "null" } } },
    { a: true, b: null },
  ],
  ["a constant", { properties: { kind: { const: 7 } }, required: ["kind"] }, { kind: 7 }],
  ["the first of an enum", { enum: ["red", "blue"] }, "red"],
  ["a default", { type: "string", default: "x" }, "x"],
  ["an example", { type: "string", examples: ["y"] }, "y"],
  ["a nullable type", { type: ["null", "number"], minimum: 5 }, 5],
  ["an alternative that is not null", { anyOf: [{ type: "null" }, { type: "string", minLength: 7 }] }, "valuexx"],
  [
    "parts that hold together",
    { allOf: [person, { properties: { id: { type: "integer" } }, required: ["id"] }] },
    { name: "name", id: 1 },
  ],
  [
    "references",
    { $ref: "#/$defs/p~1q", $defs: { "p/q": { type: "array", items: { type: "integer", minimum: 3 } } } },
    [3],
  ],
  ["lists of a length", { type: "array", minItems: 2, items: { type: "boolean" } }, [true, true]],
  ["lists of kinds", { type: "array", prefixItems: [{ type: "string" }, { type: "number" }] }, ["value", 1]],
  ["short texts", { type: "string", maxLength: 3 }, "val"],
  ["numbers as zod writes them", { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }, 1],
  ["numbers between bounds", { type: "number", exclusiveMinimum: 1, exclusiveMaximum: 2 }, 1.5],
  ["multiples", { type: "integer", multipleOf: 7, maximum: 20 }, 7],
  ["numbers below", { type: "integer", maximum: -4 }, -4],
];

describe("an instance has", () => {
  test.each(schemas)("%s", (_name, schema, value) => {
    expect(toInstance(schema, "value", { isWhole: false })).toEqual(value);
    expect(ajv.validate(schema, value)).toBe(true);
  });

  test.each(["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"])(
    "a text that is a %s",
    (format) => {
      const schema = { type: "string", format };
      expect(ajv.validate(schema, toInstance(schema, "value", { isWhole: false }))).toBe(true);
    },
  );

  test("all properties where the whole is wanted", () => {
    expect(toInstance(person, "value", { isWhole: true })).toEqual({ name: "name", age: 1 });
  });

  test("an end, where a schema holds itself", () => {
    const tree = {
      $ref: "#/$defs/node",
      $defs: { node: { properties: { next: { $ref: "#/$defs/node" } }, required: [] } },
    };
    expect(JSON.stringify(toInstance(tree, "value", { isWhole: true })).length).toBeLessThan(1_000);
    const list = { type: "array", items: { $ref: "#" } };
    expect(JSON.stringify(toInstance(list, "value", { isWhole: true })).length).toBeLessThan(1_000);
    const round = { $ref: "#" };
    expect(toInstance(round, "value", { isWhole: true })).toBe("value");
    const names = Array.from({ length: 10 }, (_, index) => `p${index}`);
    const wide = { properties: Object.fromEntries(names.map((name) => [name, { $ref: "#" }])), required: names };
    expect(JSON.stringify(toInstance(wide, "value", { isWhole: true })).length).toBeLessThan(1_000_000);
  });

  test("numbers of many digits, which arrive as their text", () => {
    expect(toInstance({ type: "number", minimum: { rawJSON: "1e3" } }, "value", { isWhole: false })).toBe(1_000);
  });
});
