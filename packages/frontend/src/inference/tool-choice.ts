/** What a client wants of its tools, held to those it has. */
import type { Tool, ToolChoice } from "@dyn/runtime/llm";
import { FieldError } from "./fields.ts";

/** @throws FieldError `tool_choice` for a tool that is not there. */
export function checkToolChoice(choice: ToolChoice | undefined, tools: readonly Tool[]): void {
  if (!choice) return;
  const { mode, name, allowed = [] } = choice;
  if (tools.length === 0 && (mode === "required" || mode === "named"))
    throw new FieldError("tool_choice", "asks for a call, and there are no tools");
  const wanted = name === undefined ? allowed : [name, ...allowed];
  if (wanted.length === 0) return;
  const names = new Set(tools.map((tool) => tool.name));
  const missing = wanted.find((each) => !names.has(each));
  if (missing !== undefined)
    throw new FieldError("tool_choice", `names ${JSON.stringify(missing)}, which is not in tools`);
}
