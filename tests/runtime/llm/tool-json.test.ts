// Tools on their way from the body of a request to the engine.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSources } from "../../../packages/frontend/src/http/exact-json.ts";
import { toRequests } from "../../../packages/runtime/src/llm/choices.ts";
import { parseExactJson, readExact } from "../../../packages/runtime/src/llm/tool-json.ts";
import { encodePayload } from "../../../packages/runtime/src/wire/payload.ts";

// Digits, a fraction and an exponent of any length, as JSON spells them.
const anyNumber = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 25n }),
    fc.option(fc.bigInt({ min: 0n, max: 10n ** 20n })),
    fc.option(fc.integer({ min: -400, max: 400 })),
  )
  .map(
    ([sign, whole, fraction, exponent]) =>
      `${sign}${whole}${fraction === null ? "" : `.${fraction}`}${exponent === null ? "" : `e${exponent}`}`,
  );

// The value of a number's text, to the last digit: a whole number and the power of ten it is to be multiplied by.
function toValue(text: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  let digits = BigInt(whole + fraction);
  if (digits === 0n) return "0";
  let power = Number(exponent) - fraction.length;
  for (; digits % 10n === 0n; power += 1) digits /= 10n;
  return `${sign}${digits}e${power}`;
}

describe("numbers of tools", () => {
  test("are written again as the value they had, to the last digit", () => {
    fc.assert(
      fc.property(fc.array(anyNumber), (numbers) => {
        const written = JSON.stringify(parseExactJson(`[${numbers.join(", ")}]`, "tools"));
        const again = written === "[]" ? [] : written.slice(1, -1).split(",");
        expect(again.map(toValue)).toEqual(numbers.map(toValue));
      }),
    );
  });

  test("are plain numbers where a double holds them", () => {
    const text = '[0, -0.0, 1.50, 1E3, 9007199254740991, 0.1, 1e-300, "12345678901234567890 1e400"]';
    expect(parseExactJson(text, "tools")).toEqual([
      0,
      -0,
      1.5,
      1_000,
      9_007_199_254_740_991,
      0.1,
      1e-300,
      "12345678901234567890 1e400",
    ]);
  });

  test("are found beside quotes and backslashes in strings", () => {
    const text = String.raw`{"a\"1e999":"\\","b":[12345678901234567890,"\"",1e400],"c":{"maximum":-0.12345678901234567890}}`;
    expect(JSON.stringify(parseExactJson(text, "tools"))).toBe(text.replaceAll(" ", ""));
  });

  test("may be many, but not millions of those that are hard to keep", () => {
    const list = (count: number): string => `[${Array<string>(count).fill("1e400").join(",")}]`;
    expect(parseExactJson(list(65_536), "tools")).toHaveLength(65_536);
    expect(() => parseExactJson(list(65_537), "tools")).toThrow(
      "tools holds more than 65536 numbers of more than 15 digits",
    );
  });

  test("cannot be sent on as what they are not", () => {
    const tools = readExact({ tools: '[{"name":"f","maximum":1e400}]' }).tools;
    expect(() => encodePayload({ tools })).toThrow("tools[0].maximum is a JSON.rawJSON, which is no plain data");
  });
});

test("tools keep the key __proto__ and their order of keys", () => {
  const tools =
    '[{"name":"f","kind":"function","parameters":{"properties":{"__proto__":{"const":12345678901234567890},"a":{}}}}]';
  const job = { model: "m", messages: [], stop: [], sampling: {}, n: 2, exactJson: { tools } };
  const requests = toRequests(job);
  expect(requests.map((request) => JSON.stringify(request.tools))).toEqual([tools, tools]);
  expect(requests[0]).not.toHaveProperty("exactJson");
});

test.each([
  ["no JSON", "[", "tools of the request must be JSON"],
  ["a string without an end behind a long number", '[1234567890123456789, "\\\\', "tools of the request must be JSON"],
  ["no list", "{}", "tools of the request must be a list of maps with name"],
  ["a tool without a name", "[{}]", "tools of the request must be a list of maps with name"],
  ["a deep list", `${"[".repeat(65)}${"]".repeat(65)}`, "tools is nested deeper than 64 levels"],
  ["a list without end", `${"[".repeat(50_000)}1e400${"]".repeat(50_000)}`, "tools is nested deeper than 64 levels"],
  ["lists without number", `[${"[],".repeat(131_072)}[]]`, "tools holds more than 131072 lists and objects"],
])("a caller that sends %s is told so", (_name, tools, message) => {
  expect(() => readExact({ tools })).toThrow(message);
});

describe("the source text of a body's members", () => {
  const read = (text: string, ...names: string[]): unknown =>
    Object.fromEntries(readSources(Buffer.from(text), new Set(names)));

  test("is what stands there, of the outermost object only", () => {
    const text = ' { "x" : {"tools":[1]} , "tools" :\n [ 1.0, "a,}]\\"b" ] , "tool_choice":"auto"} ';
    expect(read(text, "tools", "tool_choice")).toEqual({ tools: '[ 1.0, "a,}]\\"b" ]', tool_choice: '"auto"' });
    expect(read('[{"tools":1}]', "tools")).toEqual({});
  });

  test("is that of the last of two with one name, however the name is spelled", () => {
    expect(read(String.raw`{"tools":1,"t\u006fols":2,"n":3}`, "tools")).toEqual({ tools: "2" });
  });

  test("is the text of any member of any object", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
        fc.constantFrom(undefined, 1, "\t"),
        (object, space) => {
          const sources = readSources(
            Buffer.from(JSON.stringify(object, undefined, space)),
            new Set(Object.keys(object)),
          );
          expect(Object.fromEntries([...sources].map(([name, source]) => [name, JSON.parse(source)]))).toEqual(
            JSON.parse(JSON.stringify(object)),
          );
        },
      ),
    );
  });
});
