/** Which requests a rule is for. */
import type { Message, ModelRequest } from "@dyn/runtime/llm";
import type { FixtureMatch, Pattern } from "./format.ts";
import { compileRegex } from "./regex.ts";

/** A request, as rules look at it: each text is put together once, for all rules. */
export class Asked {
  readonly request: ModelRequest;
  readonly headers: Readonly<Record<string, string>>;
  #said: string | undefined;
  #system: string | undefined;

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
  const { model, responseFormat, headers = {}, context } = match;
  const all: Matches[] = [];
  const add = <Wanted>(wanted: Wanted | undefined, compile: (wanted: Wanted) => Matches): void => {
    if (wanted !== undefined) all.push(compile(wanted));
  };
  // The cheapest first.
  add(
    turnIndex,
    (count) =>
      ({ turns }) =>
        turns === count,
  );
  add(
    hasToolResult,
    (has) =>
      ({ hasResult }) =>
        hasResult === has,
  );
  add(
    responseFormat,
    (wanted) =>
      ({ format }) =>
        format === wanted,
  );
  add(
    toolName,
    (name) =>
      ({ request }) =>
        request.tools?.some((tool) => tool.name === name) ?? false,
  );
  add(
    toolCallId,
    (id) =>
      ({ result }) =>
        result?.toolCallId === id,
  );
  add(
    toolResultContains,
    (part) =>
      ({ result }) =>
        result?.text.includes(part) ?? false,
  );
  add(model, (pattern) => toWhole(pattern, ({ request }) => request.model));
  for (const [name, pattern] of Object.entries(headers))
    all.push(toWhole(pattern, (asked) => asked.headers[name.toLowerCase()]));
  add(
    context,
    (value) =>
      ({ headers: given }) =>
        given["x-aimock-context"] === value,
  );
  add(userMessage, (pattern) => toPart(pattern, ({ said }) => said));
  add(systemMessage, (wanted) => {
    if (!isList(wanted)) return toPart(wanted, ({ system }) => system);
    return ({ system }) => wanted.every((part) => system.includes(part));
  });
  return (asked) => all.every((matches) => matches(asked));
}

function isList(wanted: Pattern | readonly string[]): wanted is readonly string[] {
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
