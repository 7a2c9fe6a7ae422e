/** `DYN_LOG`: which target logs at which level. */
import { RuntimeError } from "../errors.ts";

export const levels = ["trace", "debug", "info", "warn", "error"] as const;
export type Level = (typeof levels)[number];
/** Index into `levels`; `levels.length` means off. */
export type Threshold = number;

/** Decides the threshold of a target: the directive with the longest matching prefix wins. */
export type LogFilter = (target: string) => Threshold;

const off: Threshold = levels.length;
const names = new Map<string, Threshold>([
  ...levels.map((level, index) => [level, index] as const),
  ["off", off],
  // Dynamo also takes numbers: 0 off … 5 trace.
  ...["off", "error", "warn", "info", "debug", "trace"].map((_, index) => [String(index), off - index] as const),
]);

/** A level by name or Dynamo's number. `directive` is where it stands, for the error. @throws RuntimeError `invalid_argument`. */
export function parseLevel(text: string, directive: string): Threshold {
  const level = names.get(text.trim().toLowerCase());
  if (level === undefined) {
    const expected = "expected off, error, warn, info, debug or trace";
    throw new RuntimeError(
      "invalid_argument",
      `unknown log level ${JSON.stringify(text.trim())} in ${JSON.stringify(directive)}, ${expected}`,
    );
  }
  return level;
}

// A module path matches itself and what lies below it: "a::b" matches "a::b" and "a::b::c", not "a::bc".
function covers(prefix: string, target: string): boolean {
  return target === prefix || (target.startsWith(prefix) && target.startsWith("::", prefix.length));
}

/** Compile directives `LEVEL | TARGET=LEVEL`, separated by commas, blanks trimmed, later ones winning.
 *  Without a bare level the other targets stay at info. @throws RuntimeError `invalid_argument` on an unknown level. */
export function parseLogFilter(directives: string): LogFilter {
  let fallback: Threshold = levels.indexOf("info");
  const byTarget = new Map<string, Threshold>();
  for (const raw of directives.split(",")) {
    const directive = raw.trim();
    if (directive === "") continue;
    const equals = directive.lastIndexOf("=");
    if (equals < 0) fallback = parseLevel(directive, directive);
    else byTarget.set(directive.slice(0, equals).trim(), parseLevel(directive.slice(equals + 1), directive));
  }
  const sorted = [...byTarget].sort(([left], [right]) => right.length - left.length);
  // Targets are names in the code: there are few, and each request asks for the same ones.
  const known = new Map<string, Threshold>();
  return (target) => {
    let threshold = known.get(target);
    if (threshold === undefined) {
      threshold = sorted.find(([prefix]) => covers(prefix, target))?.[1] ?? fallback;
      known.set(target, threshold);
    }
    return threshold;
  };
}
