// What whole answers take of the memory until they are read.
import { once } from "node:events";
import { createServer, get, IncomingMessage, ServerResponse } from "node:http";
import { Socket, type AddressInfo } from "node:net";
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

test("headers beyond ASCII leave as Latin-1, as they came, whatever the body has", async () => {
  const { memory } = replyFrom(createMemoryBudget(1024 * 1024, createRuntimeMetrics().memory));
  const server = createServer((_request, response) =>
    sendJson({ response, memory, commonHeaders: {} }, 200, "ü", { "x-city": "Köln" }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const request = get({ port: (server.address() as AddressInfo).port, agent: false });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  expect(answer.headers["x-city"]).toBe("Köln");
  expect(Buffer.concat(await answer.toArray()).toString()).toBe('"ü"');
  server.close();
  await once(server, "close");
});
