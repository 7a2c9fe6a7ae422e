/** A tool as engines see it, whichever API it came by. */
import type { Tool } from "@dyn/runtime/llm";

/** What clients may leave out of a tool; null is the same. */
export type GivenTool = { readonly [Name in Exclude<keyof Tool, "name" | "kind">]?: Tool[Name] | null | undefined };

/** Nothing is left of what the client has left out. */
export function toTool(name: string, kind: Tool["kind"], { description, parameters, strict, format }: GivenTool): Tool {
  return {
    name,
    kind,
    ...(description != null && { description }),
    ...(parameters != null && { parameters }),
    ...(strict != null && { strict }),
    ...(format != null && { format }),
  };
}
