// What engines see of the items and tools of a request for a response, and what is refused.
import type { ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { codexRequest } from "./codex.ts";
import { post, readEvents } from "./events.ts";
import { startResponder, weather, type Responder } from "./responder.ts";

let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());
beforeEach(() => at.reset());

describe("engines see", () => {
  test("what Codex sends: nulls, kinds that nobody knows, namespaces, custom tools", async () => {
    at.yields = () => [{ text: "", toolCalls: [{ index: 0, name: "spawn_agent", id: "call_9", arguments: "{}" }] }];
    const response = await post(at.url, codexRequest("caller"));
    expect(response.status).toBe(200);
    const events = await readEvents(response);
    const spawned = { type: "function_call", name: "spawn_agent", namespace: "multi_agent_v1", call_id: "call_9" };
    expect(events.at(-1)?.data["response"]).toMatchObject({ output: [spawned] });
    expect(at.asked[0]?.tools?.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      "function exec_command",
      "custom apply_patch",
      "function spawn_agent",
    ]);
    expect(at.asked[0]?.messages).toEqual([
      { role: "developer", text: "be brief" },
      { role: "user", text: "hello" },
      {
        role: "assistant",
        text: "I look",
        reasoning: "hm",
        toolCalls: [
          { id: "call_1", name: "exec_command", kind: "function", arguments: '{"cmd":"ls"}' },
          { id: "call_2", name: "apply_patch", kind: "custom", arguments: "*** Begin Patch" },
          { id: "call_3", name: "spawn_agent", kind: "function", arguments: "{}" },
        ],
      },
      { role: "tool", text: "a.txt", toolCallId: "call_1" },
      { role: "tool", text: "done", toolCallId: "call_2" },
      { role: "tool", text: "two parts", toolCallId: "call_3" },
    ]);
  });

  test("all that was thought before what was said, however many items it is", async () => {
    const think = (text: string): object => ({ type: "reasoning", summary: [{ type: "summary_text", text }] });
    const input = [
      think("first"),
      think(""),
      think("second"),
      { role: "assistant", content: "so" },
      { role: "user", content: "go on" },
    ];
    expect((await post(at.url, { model: "caller", input })).status).toBe(200);
    expect(at.asked[0]?.messages).toEqual([
      { role: "assistant", text: "so", reasoning: "first\n\nsecond" },
      { role: "user", text: "go on" },
    ]);
  });

  test("which of the tools may be called", async () => {
    const tools = [weather, { type: "custom", name: "patch" }] as const;
    const choose = async (tool_choice: unknown): Promise<ModelRequest["toolChoice"]> => {
      expect((await post(at.url, { model: "caller", input: "x", tools, tool_choice })).status).toBe(200);
      return at.asked.at(-1)?.toolChoice;
    };
    expect(await choose("required")).toEqual({ mode: "required" });
    expect(await choose({ type: "function", name: "weather" })).toEqual({ mode: "named", name: "weather" });
    expect(await choose({ type: "custom", name: "patch" })).toEqual({ mode: "named", name: "patch" });
    const allowed = [
      { type: "function", name: "weather" },
      { type: "mcp", server_label: "x" },
    ];
    expect(await choose({ type: "allowed_tools", mode: "auto", tools: allowed })).toEqual({
      mode: "auto",
      allowed: ["weather"],
    });
    expect(await choose({ type: "web_search" })).toBeUndefined();
  });

  test("two tools of one name under two", async () => {
    const nested = { type: "namespace", name: "other", tools: [weather] };
    at.yields = () => [{ text: "", toolCalls: [{ index: 0, name: "other__weather", id: "call_1", arguments: "{}" }] }];
    const response = await post(at.url, { model: "caller", input: "x", tools: [nested, weather] });
    expect(at.asked[0]?.tools?.map(({ name }) => name)).toEqual(["weather", "other__weather"]);
    expect(await response.json()).toMatchObject({ output: [{ name: "weather", namespace: "other" }] });
  });

  test("schemas to the last digit", async () => {
    const exact = '{"maximum":12345678901234567890}';
    const headers = { "content-type": "application/json" };
    const body = `{"model":"caller","input":"x","tools":[{"type":"function","name":"f","parameters":${exact}}],"text":{"format":{"type":"json_schema","name":"n","schema":${exact}}}}`;
    expect((await fetch(`${at.url}/v1/responses`, { method: "POST", headers, body })).status).toBe(200);
    expect(JSON.stringify(at.asked[0]?.tools?.[0]?.parameters)).toBe(exact);
    expect(JSON.stringify(at.asked[0]?.responseFormat?.schema)).toBe(exact);
  });
});

describe("it is refused", () => {
  const orphan = [{ type: "function_call_output", call_id: "call_1", output: "x" }];
  test.each([
    [{ input: orphan }, 400, "input[0].call_id"],
    [{ input: [{ role: "user", content: [{ type: "input_video" }] }] }, 400, "input[0].content[0].type"],
    [{ input: [] }, 400, "input"],
    [{ input: [{ type: "reasoning" }] }, 400, "input"],
    [{ input: "x", text: { format: { type: "json_schema", name: "n" } } }, 400, "text.format.schema"],
    [{ input: [{ role: "tool", content: "x" }] }, 400, "input[0].role"],
    [{}, 400, "input"],
    [{ input: "x", background: true }, 400, "background"],
    [{ input: "x", conversation: "conv_1" }, 400, "conversation"],
    [{ input: "x", prompt: { id: "pmpt_1" } }, 400, "prompt"],
    [{ input: "x", tools: [weather], tool_choice: { type: "function", name: "rain" } }, 400, "tool_choice"],
    [{ input: "x", metadata: { of: 7 } }, 400, "metadata"],
    [{ input: "x", top_logprobs: 2 }, 400, "top_logprobs"],
  ])("%j", async (body, status, param) => {
    const response = await post(at.url, { model: "caller", ...body });
    expect([response.status, await response.json()]).toMatchObject([status, { error: { param } }]);
    expect(at.asked).toEqual([]);
  });

  test("by an engine that cannot call, and one that knows no forms", async () => {
    const ask = { model: "talker", input: "x", tools: [weather] };
    expect((await post(at.url, { ...ask, tool_choice: "required" })).status).toBe(501);
    const formed = await post(at.url, { ...ask, text: { format: { type: "json_object" } } });
    expect([formed.status, await formed.json()]).toMatchObject([501, { error: { param: "text.format" } }]);
    expect((await post(at.url, ask)).status).toBe(200);
  });
});
