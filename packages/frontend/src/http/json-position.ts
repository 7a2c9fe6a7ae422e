/** Where a text stops being JSON. The parser's own message names a place for some faults and none for an unexpected token, and quotes what the client has sent. */

const literal = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
/** What most backslashes stand before: a text may hold millions, and a pattern takes its time for each. */
const escaped = '"\\/bfnrt';

class Problem extends Error {
  readonly position: number;

  constructor(position: number) {
    super();
    this.position = position;
  }
}

/** @returns the index of the first character that cannot stand where it does, the length of the text if it ends too early, or undefined if it is JSON. */
export function findJsonProblem(text: string): number | undefined {
  try {
    readValues(text);
    return undefined;
  } catch (problem) {
    if (problem instanceof Problem) return problem.position;
    throw problem;
  }
}

// One value after the other, with the brackets that are open on a stack: a body may be nested as deep as it likes.
function readValues(text: string): void {
  const open: ("{" | "[")[] = [];
  let at = skipBlanks(text, 0);
  for (;;) {
    const char = text[at];
    if (char === "{" || char === "[") {
      open.push(char);
      at = skipBlanks(text, at + 1);
      if (text[at] !== closing(char)) {
        if (char === "{") at = readKey(text, at);
        continue;
      }
    } else at = skipBlanks(text, char === '"' ? readString(text, at) : readLiteral(text, at));
    while (open.length > 0 && text[at] === closing(open.at(-1))) {
      open.pop();
      at = skipBlanks(text, at + 1);
    }
    if (open.length === 0) break;
    at = skipBlanks(text, expect(text, at, ","));
    if (open.at(-1) === "{") at = readKey(text, at);
  }
  if (at < text.length) throw new Problem(at);
}

function closing(bracket: "{" | "[" | undefined): string {
  return bracket === "{" ? "}" : "]";
}

function expect(text: string, at: number, char: string): number {
  if (text[at] !== char) throw new Problem(at);
  return at + 1;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at += 1; // NaN at the end
  return at;
}

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d && code !== 0x0b && code !== 0x0c);
}

// A key and its colon.
function readKey(text: string, at: number): number {
  expect(text, at, '"');
  return skipBlanks(text, expect(text, skipBlanks(text, readString(text, at)), ":"));
}

function readString(text: string, from: number): number {
  for (let at = from + 1; ; at += 1) {
    const code = text.charCodeAt(at); // NaN at the end
    if (code === 0x22) return at + 1;
    if (!(code >= 0x20)) throw new Problem(at);
    if (code === 0x5c) at = escaped.includes(text[at + 1] ?? "u") ? at + 1 : match(escape, text, at) - 1;
  }
}

function readLiteral(text: string, at: number): number {
  return match(literal, text, at);
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  if (!pattern.test(text)) throw new Problem(at);
  return pattern.lastIndex;
}
