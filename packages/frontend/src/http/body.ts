/** Request bodies: JSON of whole characters, and a clear word when they are not. */
import { RuntimeError } from "@dyn/runtime";
import { countOf, decodeText, findJsonExcess } from "@dyn/runtime/internal";
import { keepDigits } from "./exact-json.ts";
import { assertWhole, mayHoldHalves } from "./json-halves.ts";
import { findJsonProblem } from "./json-position.ts";

/** Whole numbers beyond 2^53 that are fields of the body itself are bigints. @throws RuntimeError `invalid_argument`. */
export function parseJsonBody(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0)
    throw new RuntimeError("invalid_argument", "the request body is empty, expected a JSON object");
  const excess = findJsonExcess(body);
  if (excess !== undefined) throw new RuntimeError("invalid_argument", `the request body ${excess}`);
  const text = decodeText(body);
  const value = keepDigits(parse(text), body);
  if (mayHoldHalves(text)) assertWhole(value);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RuntimeError("invalid_argument", `the request body is not valid JSON: ${describeProblem(text)}`); // the parser's words quote it
  }
}

function describeProblem(text: string): string {
  const at = findJsonProblem(text) ?? text.length;
  if (at === text.length) return `it ends too early, after ${countOf(at, "character")}`;
  let [line, lineAt] = [1, 0];
  for (let index = 0; index < at; index += 1)
    if (text.charCodeAt(index) === 0x0a) [line, lineAt] = [line + 1, index + 1];
  return `unexpected character at position ${at} of ${text.length} (line ${line}, column ${at - lineAt + 1})`;
}
