// Thinking whose text a client does not want: its signature holds it, as far as there is room, and gives it back.
import { expect, test } from "vitest";
import { BlockEvents } from "../../packages/frontend/src/anthropic/blocks.ts";
import { maxHeldChars, readThinking } from "../../packages/frontend/src/anthropic/signature.ts";
import type { Delta } from "../../packages/runtime/src/llm/contract.ts";

function sign(deltas: readonly Delta[], isOmitted = true): string[] {
  const blocks = new BlockEvents({ isOmitted, requestId: "id" });
  const events = deltas.map((delta) => blocks.write(delta)).join("") + blocks.end();
  return [...events.matchAll(/"signature_delta","signature":"([^"]*)"/g)].map(([, signature = ""]) => signature);
}

test("each block holds its own, in all of its pieces, and none of more than there is room for", () => {
  const long = "x".repeat(maxHeldChars);
  const deltas = [
    { text: "", reasoning: "a é" },
    { text: "b", reasoning: " c" },
    { text: "", reasoning: long },
    { text: "d", reasoning: "e" },
    { text: "f", reasoning: long },
    { text: "g", reasoning: "h" },
  ];
  const signatures = sign(deltas);
  expect(signatures.map(readThinking)).toEqual(["a é c", "", long, "h"]);
  expect(signatures[1]).toBe("dyn-id");
});

test("a block with its text holds none, and what others have signed is no thinking", () => {
  expect(sign([{ text: "", reasoning: "a" }], false)).toEqual(["dyn-id"]);
  expect(["dyn-id", "EqQBCgIYAhIM", "", undefined, 7, "dyn-thinking-"].map(readThinking).join("")).toBe("");
});
