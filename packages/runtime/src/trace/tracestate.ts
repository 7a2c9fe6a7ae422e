/** W3C `tracestate`, level 2: https://www.w3.org/TR/trace-context-2/#tracestate-header. Its members belong to others; we only carry them. */
import { excerpt } from "../excerpt.ts";

// Longer than any list of 32 members needs to be, and what Node takes for all headers of a request. No more is looked at.
const maxReadChars = 16_384;
const maxMembers = 32;
/** What travels on at most: the standard's "at least 512 characters". */
const maxKeptChars = 512;
/** Members longer than this go first when the whole is too long. */
const longMemberChars = 128;

const member = /^([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const printable = /^[\t\x20-\x7e]*$/;

/** The list as it travels on: members in order without the blanks around them, the first of a key, 512 characters at most.
 *  Several headers arrive here joined by commas, as RFC 9110 §5.3 says.
 *  @returns undefined if nothing is left, or the whole must be dropped: a member that breaks the grammar, or more than 32 of them. */
export function acceptTracestate(header: string): string | undefined {
  if (header.length > maxReadChars || !printable.test(header)) return undefined;
  const members = new Map<string, string>();
  let count = 0;
  for (const part of header.split(",")) {
    const text = part.trim();
    if (text === "") continue;
    const key = member.exec(text)?.[1];
    count += 1;
    if (key === undefined || count > maxMembers) return undefined;
    if (!members.has(key)) members.set(key, text); // the leftmost is the latest
  }
  return shorten([...members.values()]);
}

// Whole members go, the long ones first, each time from the end: the standard rules out other ways to choose.
function shorten(members: readonly string[]): string | undefined {
  const whole = members.join(",");
  let excess = whole.length - maxKeptChars;
  if (excess <= 0) return whole === "" ? undefined : excerpt(whole);
  let kept = members;
  for (const spared of [longMemberChars, 0]) {
    kept = kept.toReversed().filter((text) => {
      if (excess <= 0 || text.length <= spared) return true;
      excess -= text.length + 1;
      return false;
    });
    kept = kept.toReversed();
  }
  return kept.length > 0 ? excerpt(kept.join(",")) : undefined;
}
