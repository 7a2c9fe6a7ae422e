/** What the mock answers of its own accord: a call, a value of the form that is asked for, or else an echo. It follows from the request alone. */
import { splitTokens } from "@dyn/runtime/internal";
import type { ModelRequest, ResponseFormat } from "@dyn/runtime/llm";
import type { Block, Plan } from "./plan.ts";
import { toInstance } from "./schema-instance.ts";
import { toThinking } from "./thinking.ts";
import { toCall, type CallMode } from "./tool-calls.ts";

/** Characters of a piece of JSON or of arguments. */
const pieceLength = 8;

/** What the mock does of its own accord. */
export interface Habits {
  /** When it calls tools. Default `auto`. */
  readonly toolCalls?: CallMode | undefined;
  /** How long it thinks before it answers, unless the request says otherwise. Default 0. */
  readonly reasoningTokens?: number | undefined;
}

/** The answer to a request. */
export function toPlan(request: ModelRequest, { toolCalls, reasoningTokens = 0 }: Habits = {}): Plan {
  return { blocks: [...toThinking(request, reasoningTokens), toAnswer(request, toolCalls)] };
}

function toAnswer(request: ModelRequest, when: CallMode | undefined): Block {
  const call = request.tools && toCall(request, when);
  if (call) {
    const { tool, text } = call;
    return { type: "call", name: tool.name, kind: tool.kind, tokens: cut(text) };
  }
  const said = toEcho(request);
  const { responseFormat } = request;
  return { type: "text", tokens: responseFormat ? cut(toJson(said, responseFormat)) : splitTokens(said) };
}

/** What the answer repeats: the last result of a tool, or else what the user said last. */
export function toEcho({ messages }: Pick<ModelRequest, "messages">): string {
  const last = messages.findLastIndex(({ role }) => role === "user");
  const result = messages.findLast(({ role }, index) => role === "tool" && index > last);
  const { text, parts } = result ?? messages[last] ?? { text: "" };
  return parts
    ? parts
        .map((part) => (part.kind === "text" ? part.text : ` [${part.kind}]`))
        .join("")
        .trimStart()
    : text;
}

/** A text in pieces of so many characters, each a token, no character cut in two. */
export function cut(text: string, length: number = pieceLength): string[] {
  const letters = Array.from(text);
  const count = Math.ceil(letters.length / length);
  return Array.from({ length: count }, (_, index) => letters.slice(index * length, (index + 1) * length).join(""));
}

/** The JSON that it answers with, in place of `text`: an instance of the schema, or else the text, if that is an object, or an object that holds it. */
export function toJson(text: string, { schema }: ResponseFormat): string {
  if (schema) return JSON.stringify(toInstance(schema, "value", { isWhole: true }));
  return isObject(text) ? text : JSON.stringify({ text });
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
