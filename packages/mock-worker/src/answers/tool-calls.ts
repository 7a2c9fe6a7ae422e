/** Which tools the mock calls, and with what: it follows from the request alone, so that every worker calls the same. */
import type { Message, ModelRequest, Tool } from "@dyn/runtime/llm";
import { toInstance } from "./schema-instance.ts";

/** More tools than this are those of an agent, whose prompts name them without asking for one. */
const maxNamed = 3;

/** When tools are called. `forced`: if the client insists, or a line of the user says so; `auto`: also if the user speaks of one; `always`: also if there is one, and
 *  no result yet; `never`. */
export type CallMode = "forced" | "auto" | "always" | "never";

/** A call that is to be made. */
export interface PlannedCall {
  readonly tool: Tool;
  /** Its arguments. */
  readonly text: string;
}

/** The messages since the user said something, and what that was. */
interface Turn {
  readonly said: string;
  readonly results: readonly Message[];
}

/** The call that it makes; none if it answers with text. */
export function toCall(request: ModelRequest, when: CallMode = "auto"): PlannedCall | undefined {
  const { toolChoice: { mode, name, allowed } = { mode: "auto" }, messages } = request;
  const tools = (request.tools ?? []).filter((tool) => allowed?.includes(tool.name) ?? true);
  if (mode === "none" || when === "never" || tools.length === 0) return undefined;
  const turn = toTurn(messages);
  const ordered = followOrders(turn, tools);
  if (ordered && ordered !== "done") return ordered;
  if (ordered === "done" && mode === "auto") return undefined;
  const tool =
    mode === "named"
      ? tools.find((each) => each.name === name)
      : mode === "required"
        ? tools[Math.min(countTurns(messages), tools.length - 1)]
        : findUnasked(turn, tools, when);
  return tool && { tool, text: toArguments(tool, turn) };
}

function toTurn(messages: readonly Message[]): Turn {
  const last = messages.findLastIndex(({ role }) => role === "user");
  return {
    said: messages[last]?.text ?? "",
    results: messages.slice(last + 1).filter(({ role }) => role === "tool"),
  };
}

// `/call NAME {json}`, a line for each step: the next one is made when there is a result of each before it.
// The first may follow a tag: agents put what they remind of before what the user said, with no line end between.
function followOrders({ said, results }: Turn, tools: readonly Tool[]): PlannedCall | "done" | undefined {
  const orders = [...said.matchAll(/(?<=^|>)\/call[ \t]+(\S+)[ \t]*(.*)$/gm)];
  if (orders.length === 0) return undefined;
  const [, name, text = ""] = orders[results.length] ?? [];
  const tool = tools.find((each) => each.name === name);
  return tool ? { tool, text: tool.kind === "custom" ? toInput(text) : text === "" ? "{}" : text } : "done";
}

// A custom tool takes any text, also one of several lines, which a JSON string has in one.
function toInput(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : text;
  } catch {
    return text;
  }
}

// Each answer to the user's first message on has called one: the last one ends the work of agents.
function countTurns(messages: readonly Message[]): number {
  const first = messages.findIndex(({ role }) => role === "user");
  return messages.slice(first + 1).filter(({ role }) => role === "assistant").length;
}

function findUnasked(turn: Turn, tools: readonly Tool[], when: CallMode): Tool | undefined {
  if (when === "always" && turn.results.length === 0) return tools[0];
  return when === "forced" ? undefined : findNamed(turn, tools);
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
