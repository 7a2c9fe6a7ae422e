/** Regular expressions of a script. RE2 has no backtracking: its time grows with the text and never runs away, so that no script holds up the worker. */
import { createRequire } from "node:module";

/** Of an expression. */
export const maxRegexChars = 1_000;
/** Of a text, from its beginning, as far as expressions look; that takes 20 ms at most. */
const maxSearchedChars = 100_000;

const load = createRequire(import.meta.url);

/** A test of texts. @throws Error saying what is wrong with the expression. */
export function compileRegex(source: string, flags = ""): (text: string) => boolean {
  const { RE2JS } = load("re2js") as typeof import("re2js"); // of no use to those who have no such script
  let bits = 0;
  if (flags.includes("i")) bits |= RE2JS.CASE_INSENSITIVE;
  if (flags.includes("m")) bits |= RE2JS.MULTILINE;
  if (flags.includes("s")) bits |= RE2JS.DOTALL;
  try {
    const expression = RE2JS.compile(source, bits);
    return (text) => expression.matcher(text.slice(0, maxSearchedChars)).find();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`expected a regular expression of RE2, without backreferences and look-around: ${reason}`, {
      cause,
    });
  }
}
