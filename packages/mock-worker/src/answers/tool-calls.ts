/** Which tools the mock calls, and with what: it follows from the request alone, so that every worker calls the same. */
import type { Message, ModelRequest, ResponseFormat, Tool, ToolCallPiece } from "@dyn/runtime/llm";
import { toInstance } from "./schema-instance.ts";

/** Characters of a piece of arguments. */
const pieceLength = 8;
/** More tools than this are those of an agent, whose prompts name them without asking for one. */
const maxNamed = 3;

interface Planned {
  readonly tool: Tool;
  readonly text: string;
}

/** The messages since the user said something, and what that was. */
interface Turn {
  readonly said: string;
  readonly results: readonly Message[];
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

/** The pieces of the call that it makes, one a token; none if it answers with text. */
export function* toPieces(request: ModelRequest): Generator<ToolCallPiece, void, void> {
  const planned = plan(request);
  if (!planned) return;
  const { tool, text } = planned;
  yield { index: 0, name: tool.name, kind: tool.kind, arguments: "" };
  for (const piece of cut(text)) yield { index: 0, arguments: piece };
}

/** A text in pieces, each a token, no character cut in two. */
export function cut(text: string): string[] {
  const letters = Array.from(text);
  const count = Math.ceil(letters.length / pieceLength);
  return Array.from({ length: count }, (_, index) =>
    letters.slice(index * pieceLength, (index + 1) * pieceLength).join(""),
  );
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

function toTurn(messages: readonly Message[]): Turn {
  const last = messages.findLastIndex(({ role }) => role === "user");
  return {
    said: messages[last]?.text ?? "",
    results: messages.slice(last + 1).filter(({ role }) => role === "tool"),
  };
}

function plan(request: ModelRequest): Planned | undefined {
  const { toolChoice: { mode, name, allowed } = { mode: "auto" }, messages } = request;
  const tools = (request.tools ?? []).filter((tool) => allowed?.includes(tool.name) ?? true);
  if (mode === "none" || tools.length === 0) return undefined;
  const turn = toTurn(messages);
  const ordered = followOrders(turn, tools);
  if (ordered) return ordered === "done" ? undefined : ordered;
  const tool =
    mode === "named"
      ? tools.find((each) => each.name === name)
      : mode === "required"
        ? tools[Math.min(countTurns(messages), tools.length - 1)]
        : findNamed(turn, tools);
  return tool && { tool, text: toArguments(tool, turn) };
}

// `/call NAME {json}`, a line for each step: the next one is made when there is a result of each before it.
function followOrders({ said, results }: Turn, tools: readonly Tool[]): Planned | "done" | undefined {
  const orders = [...said.matchAll(/^\/call[ \t]+(\S+)[ \t]*(.*)$/gm)];
  if (orders.length === 0) return undefined;
  const [, name, text = ""] = orders[results.length] ?? [];
  const tool = tools.find((each) => each.name === name);
  return tool ? { tool, text: text === "" ? "{}" : text } : "done";
}

// Each answer to the user's first message on has called one: the last one ends the work of agents.
function countTurns(messages: readonly Message[]): number {
  const first = messages.findIndex(({ role }) => role === "user");
  return messages.slice(first + 1).filter(({ role }) => role === "assistant").length;
}

// A user who asks for the weather wants get_weather.
function findNamed({ said, results }: Turn, tools: readonly Tool[]): Tool | undefined {
  if (tools.length > maxNamed || results.length > 0) return undefined;
  const text = said.toLowerCase();
  return tools.find(({ name }) => toWords(name).some((word) => text.includes(word)));
}

function toWords(name: string): string[] {
  const words = name.split(/[_.-]|(?<=[a-z])(?=[A-Z])/).filter((word) => word.length >= 4);
  return [name, ...words].map((word) => word.toLowerCase());
}

function toArguments({ kind, parameters, strict = false }: Tool, { said }: Turn): string {
  if (kind === "custom") return said;
  return parameters ? JSON.stringify(toInstance(parameters, "value", { isWhole: strict })) : "{}";
}
