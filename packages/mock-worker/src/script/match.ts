/** Which requests a rule is for. */
import type { Message, ModelRequest } from "@dyn/runtime/llm";
import type { FixtureMatch, Pattern } from "./format.ts";
import { compileRegex } from "./regex.ts";
import { toRequestHash } from "./request-hash.ts";

/** A request, as rules look at it: each text is put together once, for all rules. */
export class Asked {
  readonly request: ModelRequest;
  readonly headers: Readonly<Record<string, string>>;
  #said: string | undefined;
  #system: string | undefined;
  #hash: string | undefined;

  constructor(request: ModelRequest, headers: Readonly<Record<string, string>>) {
    this.request = request;
    this.headers = headers;
  }

  /** Of the last message of the user that has a text. */
  get said(): string {
    this.#said ??= this.request.messages.findLast(({ role, text }) => role === "user" && text !== "")?.text ?? "";
    return this.#said;
  }

  get system(): string {
    this.#system ??= this.request.messages
      .filter(({ role }) => role === "system" || role === "developer")
      .map(({ text }) => text)
      .join("\n");
    return this.#system;
  }

  /** The last message, if it is the result of a call. */
  get result(): Message | undefined {
    const last = this.request.messages.at(-1);
    return last?.role === "tool" ? last : undefined;
  }

  get hash(): string {
    this.#hash ??= toRequestHash(this.request);
    return this.#hash;
  }

  get hasResult(): boolean {
    const { messages } = this.request;
    const last = messages.findLastIndex(({ role }) => role === "user");
    return messages.some(({ role }, index) => role === "tool" && index > last);
  }

  get turns(): number {
    return this.request.messages.reduce((count, { role }) => count + (role === "assistant" ? 1 : 0), 0);
  }

  get format(): "text" | "json_object" | "json_schema" {
    const { responseFormat } = this.request;
    return responseFormat === undefined ? "text" : responseFormat.schema ? "json_schema" : "json_object";
  }
}

export type Matches = (asked: Asked) => boolean;

/** What a match says, but for what is counted (`sequenceIndex`). */
export function compileMatch(match: FixtureMatch): Matches {
  const { userMessage, systemMessage, toolName, toolCallId, toolResultContains, hasToolResult, turnIndex } = match;
  const { model, responseFormat, headers = {}, context, requestHash } = match;
  const all: Matches[] = [];
  const is = (wanted: unknown, of: (asked: Asked) => unknown): void => {
    if (wanted !== undefined) all.push((asked) => of(asked) === wanted);
  };
  // The cheapest first.
  is(turnIndex, ({ turns }) => turns);
  is(hasToolResult, ({ hasResult }) => hasResult);
  is(responseFormat, ({ format }) => format);
  is(toolCallId, ({ result }) => result?.toolCallId);
  is(context, (asked) => asked.headers["x-aimock-context"]);
  if (toolName !== undefined) all.push(({ request }) => request.tools?.some(({ name }) => name === toolName) ?? false);
  if (toolResultContains !== undefined) all.push(({ result }) => result?.text.includes(toolResultContains) ?? false);
  if (model !== undefined) all.push(toWhole(model, ({ request }) => request.model));
  for (const [name, pattern] of Object.entries(headers))
    all.push(toWhole(pattern, (asked) => asked.headers[name.toLowerCase()]));
  if (userMessage !== undefined) all.push(toPart(userMessage, ({ said }) => said));
  if (isList(systemMessage)) all.push(({ system }) => systemMessage.every((part) => system.includes(part)));
  else if (systemMessage !== undefined) all.push(toPart(systemMessage, ({ system }) => system));
  is(requestHash, ({ hash }) => hash);
  return (asked) => all.every((matches) => matches(asked));
}

function isList(wanted: Pattern | readonly string[] | undefined): wanted is readonly string[] {
  return Array.isArray(wanted);
}

function toPart(pattern: Pattern, of: (asked: Asked) => string): Matches {
  if (typeof pattern === "string") return (asked) => of(asked).includes(pattern);
  const finds = compileRegex(pattern.regex, pattern.flags);
  return (asked) => finds(of(asked));
}

function toWhole(pattern: Pattern, of: (asked: Asked) => string | undefined): Matches {
  if (typeof pattern === "string") return (asked) => of(asked) === pattern;
  const finds = compileRegex(pattern.regex, pattern.flags);
  return (asked) => {
    const text = of(asked);
    return text !== undefined && finds(text);
  };
}
