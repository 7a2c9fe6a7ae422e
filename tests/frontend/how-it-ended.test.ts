// Why an answer ended, as those see it who ask later what happened to a request.
import { createFrontend } from "@dyn/frontend";
import { createRuntime } from "@dyn/runtime";
import { serveModel, type Delta } from "@dyn/runtime/llm";
import { expect, test } from "vitest";
import { parseLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { drawTree } from "../../packages/lineage/src/show/timeline.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { chat, eventually, postChat, type Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";

interface Ended {
  readonly line: Line;
  /** As the frontend remembers it. */
  readonly remembered: RequestTree;
  /** As it is drawn from the lines. */
  readonly picture: string;
}

/** One request of a chat, whose engine answers with this. */
async function ask(answer: Delta, more: Record<string, unknown> = {}): Promise<Ended> {
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) }).pino;
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log });
  await serveModel(runtime, { model: "m", capabilities: ["tools"] }, async function* () {
    yield answer;
  });
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  const response = await postChat(frontend.url, { ...chat("x", more), model: "m" });
  await response.text();
  const requestId = response.headers.get("request-id") ?? "";
  const line = await eventually("the frontend's line", () =>
    lines.find(({ message, span_name }) => message === "request completed" && span_name === "http-request"),
  );
  const remembered = (await (await fetch(`${frontend.url}/v1/requests/${requestId}`)).json()) as RequestTree;
  return { line, remembered, picture: draw(requestId, lines) };
}

function draw(requestId: string, lines: readonly Line[]): string {
  const read = lines.flatMap((line, index) => parseLine(JSON.stringify(line), `log:${index + 1}`) ?? []);
  const [tree] = rebuildTrees(read, new Set([requestId])).trees;
  return tree ? drawTree(tree, { columns: 100, color: false }) : "";
}

const call: Delta = { text: "", toolCalls: [{ index: 0, name: "read", arguments: "{}" }] };
const tools = [{ type: "function", function: { name: "read" } }];

test("a call is on the frontend's line, in its memory and in the picture", async () => {
  const { line, remembered, picture } = await ask(call, { tools });
  expect(line).toMatchObject({ status: "success", finish_reason: "tool_calls" });
  expect(remembered.request).toMatchObject({ finish_reason: "tool_calls" });
  expect(picture).toMatch(/^ended .* ended with tool_calls$/m);
});

test("an answer that was cut short is one, too", async () => {
  const { line, picture } = await ask({ text: "a" }, { max_tokens: 1 });
  expect(line).toMatchObject({ status: "success", finish_reason: "length" });
  expect(picture).toContain("ended with length");
});

test("the end of every other answer is on the line, and not worth a word in the picture", async () => {
  const { line, picture } = await ask({ text: "a" });
  expect(line).toMatchObject({ finish_reason: "stop" });
  expect(picture).not.toContain("stop");
});
