// What whole answers take of the memory until they are read.
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import type { MemoryBudget } from "@dyn/runtime";
import { createMemoryBudget, createRuntimeMetrics } from "@dyn/runtime/internal";
import { sendJson, sendPage, type Reply } from "../../../packages/runtime/src/http/reply.ts";

const text = "x".repeat(20_000);

function replyFrom(budget: MemoryBudget): Reply {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  return { response, memory: budget.open(), commonHeaders: {} };
}

test("pages for strangers leave the last quarter of the memory to requests and operators when nobody reads them", () => {
  const budget = createMemoryBudget(1 * 1024 * 1024, createRuntimeMetrics().memory);
  const sendPages = (): void => {
    for (;;) sendPage(replyFrom(budget), "text/plain", text, { isModest: true });
  };
  expect(sendPages).toThrow(expect.objectContaining({ code: "overloaded" }));
  expect(budget.usedBytes).toBeLessThanOrEqual(0.75 * budget.limitBytes);
  expect(budget.usedBytes).toBeGreaterThan(0.75 * budget.limitBytes - 2 * text.length);
  sendJson(replyFrom(budget), 200, text);
  sendPage(replyFrom(budget), "text/plain", text);
  expect(budget.usedBytes).toBeGreaterThan(0.75 * budget.limitBytes);
});
