// Where a text stops being JSON, held against the parser itself.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJsonBody } from "../../packages/frontend/src/http/body.ts";
import { findJsonProblem } from "../../packages/frontend/src/http/json-position.ts";

function problemOf(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const json = fc.oneof(
  fc.json({ maxDepth: 5 }),
  fc.jsonValue().map((value) => JSON.stringify(value, null, 2)),
);

test("JSON has no problem", () => {
  fc.assert(fc.property(json, (text) => findJsonProblem(text) === undefined));
  expect(findJsonProblem("[".repeat(200_000) + "]".repeat(200_000))).toBeUndefined();
});

test("a text has a problem exactly if the parser says so, never after the place it names, and what stands before it is the beginning of JSON", () => {
  const broken = fc
    .tuple(json, fc.nat(), fc.constantFrom("", "x", '"', "{", "}", "[", ",", ":", "\\", "1", "\n", "\\u00"))
    .map(([text, at, insert]) => {
      const index = at % (text.length + 1);
      return text.slice(0, index) + insert + text.slice(index + (insert === "" ? 1 : 0));
    });
  fc.assert(
    fc.property(broken, (text) => {
      const message = problemOf(text);
      const found = findJsonProblem(text);
      expect(found === undefined).toBe(message === undefined);
      if (message === undefined || found === undefined) return;
      const named = / at position (\d+)/.exec(message)?.[1];
      if (named !== undefined) expect(found).toBeLessThanOrEqual(Number(named));
      const before = text.slice(0, found);
      expect(findJsonProblem(before) ?? found).toBe(found);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['{"a": x}', "unexpected character at position 6 of 8 (line 1, column 7)"],
  ['{\n  "a": 1,\n}', "unexpected character at position 12 of 13 (line 3, column 1)"],
  ["{'secret': 1}", "unexpected character at position 1 of 13 (line 1, column 2)"],
  ['{"a": "b', "it ends too early, after 8 characters"],
  ["{", "it ends too early, after 1 character"],
  ["{}{}", "unexpected character at position 2 of 4 (line 1, column 3)"],
])("%s is refused with the place, and not quoted", (text, problem) => {
  expect(() => parseJsonBody(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: "invalid_argument", message: `the request body is not valid JSON: ${problem}` }),
  );
});
