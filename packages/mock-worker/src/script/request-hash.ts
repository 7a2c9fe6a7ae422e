/** What a request is, in one word: by it a recorded answer finds the request that it was given to. */
import { createHash } from "node:crypto";
import type { ModelRequest } from "@dyn/runtime/llm";

/** The hash of all that was asked. Ids of calls count only by their order: some servers make new ones each time. */
export function toRequestHash(request: ModelRequest): string {
  const ids = new Map<string, number>();
  const toNumber = (id: string): number => {
    const known = ids.get(id) ?? ids.size;
    ids.set(id, known);
    return known;
  };
  const messages = request.messages.map(({ toolCalls, toolCallId, ...message }) => [
    message,
    toolCalls?.map(({ id, ...call }) => [call, toNumber(id)]) ?? [],
    toolCallId === undefined ? [] : [toNumber(toolCallId)],
  ]);
  const text = JSON.stringify({ ...request, messages, generated: undefined, prefillResult: undefined }, toOrdered);
  return `sha256-${createHash("sha256").update(text).digest("hex")}`;
}

// Names in their order: a request that came over the plane may have another one.
function toOrdered(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
