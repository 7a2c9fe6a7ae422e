/** Log lines read by the letter: a key that stands twice, or text that a reader could take for something else, is an error. */

/** Keys in order, and what they say. In readable lines everything is text. */
export interface StrictLine {
  readonly keys: readonly string[];
  readonly values: ReadonlyMap<string, unknown>;
}

const jsonString = String.raw`"(?:[^"\\]|\\.)*"`;
const jsonToken = new RegExp(String.raw`${jsonString}|[{}[\]:,]|[^"{}[\]:,\s]+`, "gs");

function toLine(entries: readonly (readonly [string, unknown])[]): StrictLine {
  const values = new Map(entries);
  if (values.size !== entries.length) throw new Error(`a key stands twice: ${entries.map(([key]) => key).join(" ")}`);
  return { keys: entries.map(([key]) => key), values };
}

/** One line of JSONL. `JSON.parse` alone would hide a key that stands twice. */
export function parseJsonLine(text: string): StrictLine {
  const record = new Map<string, unknown>(Object.entries(JSON.parse(text) as object));
  const tokens = text.match(jsonToken) ?? [];
  const keys: string[] = [];
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    else if (depth === 1 && token.startsWith('"') && tokens[index + 1] === ":") keys.push(JSON.parse(token) as string);
  }
  return toLine(keys.map((key) => [key, record.get(key)]));
}

const head = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) +(TRACE|DEBUG|INFO|WARN|ERROR) ([\w:]+): /;
const fact = new RegExp(String.raw` (${jsonString}|[^\s"=]+)=(${jsonString}|[^\s"=]+)`, "y");

function unquote(text: string): string {
  return text.startsWith('"') ? (JSON.parse(text) as string) : text;
}

const quotedMessage = new RegExp(`^${jsonString}`);
const plainMessage = /^[^="]*?(?=$| (?:"|[^\s"=]+=))/;
/** Controls, ends of lines, changes of the writing direction, and what nobody sees; joiners and selectors may stand in words and emoji. */
const unsafe =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/u;

function parseFacts(text: string): [string, string][] {
  const facts: [string, string][] = [];
  fact.lastIndex = 0;
  while (fact.lastIndex < text.length) {
    const rest = text.slice(fact.lastIndex);
    const match = fact.exec(text);
    if (!match) throw new Error(`no fact: ${JSON.stringify(rest)}`);
    const [, key = "", value = ""] = match;
    facts.push([unquote(key), unquote(value)]);
  }
  return facts;
}

/** One readable line: `TIME LEVEL target: message key=value …`, nothing else. */
export function parseReadableLine(text: string): StrictLine {
  if (unsafe.test(text)) throw new Error(`a control character in ${JSON.stringify(text)}`);
  const match = head.exec(text);
  if (!match) throw new Error(`no line of a log: ${JSON.stringify(text)}`);
  const [start, time = "", level = "", target = ""] = match;
  const rest = text.slice(start.length);
  const message = (rest.startsWith('"') ? quotedMessage : plainMessage).exec(rest)?.[0] ?? "";
  const facts = parseFacts(rest.slice(message.length));
  return toLine([["time", time], ["level", level], ["target", target], ["message", unquote(message)], ...facts]);
}
