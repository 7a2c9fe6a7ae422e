/** Tools of a request for a response, and what the client wants of them: the same as of a chat, with nothing around them, and in namespaces. */
import type { Tool, ToolChoice } from "@dyn/runtime/llm";
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../../inference/described.ts";
import { chosenBy, kindOf, listOf } from "../../inference/field-kinds.ts";
import { choiceWord, customBody, functionBody, toCustom, toFunction } from "../tools.ts";

const name = z.string().min(1).max(256);
const kinds = { function: functionBody, custom: customBody };

const namespace = z.looseObject({
  name,
  tools: described("Its functions and custom tools.", listOf(kindOf<unknown>(kinds, () => undefined))),
});

/** Kinds that are not known are left out: what runs at the provider has no one to run it here. */
export const toolsField: z.ZodType<unknown[]> = listOf(kindOf<unknown>({ ...kinds, namespace }, () => undefined));

/** A tool of a namespace, by the name that the engine has for it. */
export interface Nested {
  readonly namespace: string;
  readonly name: string;
}

/** By the names that engines have for them. */
export type Namespaces = ReadonlyMap<string, Nested>;

/** Names that engines have for tools of namespaces, by both of theirs. */
export type EngineNames = ReadonlyMap<string, string>;

/** What engines see of tools that are as `toolsField` says, and which of them are from a namespace. */
export interface ReadTools {
  readonly tools: readonly Tool[];
  readonly namespaces: Namespaces;
  readonly engineNames: EngineNames;
}

/** Engines know no namespaces: a tool of one has its own name, and that of the namespace before it where another tool has the name. */
export function readTools(given: readonly unknown[]): ReadTools {
  const tools: Tool[] = [];
  const namespaces = new Map<string, Nested>();
  const engineNames = new Map<string, string>();
  const spaces: { readonly name: string; readonly tools: readonly Tool[] }[] = [];
  for (const each of given) {
    if (!isMap(each)) continue;
    if (each["type"] === "namespace")
      spaces.push({ name: each["name"] as string, tools: (each["tools"] as unknown[]).flatMap(toTool) }); // as the schema says
    else tools.push(...toTool(each));
  }
  const taken = new Set(tools.map((tool) => tool.name));
  for (const { name: space, tools: nested } of spaces) {
    for (const tool of nested) {
      const called = taken.has(tool.name) ? `${space}__${tool.name}` : tool.name;
      taken.add(called);
      namespaces.set(called, { namespace: space, name: tool.name });
      engineNames.set(toKey(space, tool.name), called);
      tools.push(called === tool.name ? tool : { ...tool, name: called });
    }
  }
  return { tools, namespaces, engineNames };
}

function toTool(given: unknown): Tool[] {
  if (!isMap(given)) return [];
  if (given["type"] === "function") return [toFunction(given as z.infer<typeof functionBody>)]; // as the schema says
  return given["type"] === "custom" ? [toCustom(given as z.infer<typeof customBody>)] : [];
}

/** The name that the engine has for a tool of an earlier call. */
export function toEngineName(called: string, space: string | undefined, names: EngineNames): string {
  return space === undefined ? called : (names.get(toKey(space, called)) ?? called);
}

function toKey(space: string, called: string): string {
  return JSON.stringify([space, called]);
}

const named = z.looseObject({ name });
const toName = named.transform((given) => given.name);
const toNamed = named.transform((given): ToolChoice => ({ mode: "named", name: given.name }));
const allowedTool = kindOf<string | undefined>({ function: toName, custom: toName }, () => undefined);
const allowed = z
  .looseObject({ mode: z.enum(["auto", "required"]), tools: listOf(allowedTool) })
  .transform(({ mode, tools }): ToolChoice => ({ mode, allowed: tools.filter((tool) => tool !== undefined) }));
const choice = kindOf<ToolChoice | undefined>(
  { function: toNamed, custom: toNamed, allowed_tools: allowed },
  () => undefined,
);

/** Kinds that are not known leave it to the engine. */
export const toolChoiceField: z.ZodType<ToolChoice | undefined> = chosenBy<ToolChoice | undefined>(
  [choiceWord, choice],
  (given) => (isMap(given) ? choice : choiceWord),
);

/** Tools as a response repeats them, without kinds that are not known: of a function every member is there. */
export function toShownTools(given: readonly unknown[]): readonly unknown[] {
  return given.flatMap((each) => {
    if (!isMap(each)) return [];
    if (each["type"] === "namespace") return [{ ...each, tools: toShownTools(each["tools"] as unknown[]) }]; // as the schema says
    if (each["type"] !== "function") return [each];
    const { description = null, parameters = null, strict = null, ...more } = each;
    return [{ ...more, description, parameters, strict }];
  });
}
