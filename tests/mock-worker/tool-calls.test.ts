// What the mock calls, by the rules of docs/mock-worker.md: it follows from the request alone.
import { describe, expect, test } from "vitest";
import { toEcho } from "../../packages/mock-worker/src/answers/rules.ts";
import { toCall, type CallMode } from "../../packages/mock-worker/src/answers/tool-calls.ts";
import type { Message, ModelRequest, Tool, ToolChoice } from "../../packages/runtime/src/llm/contract.ts";

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather: Tool = { name: "get_weather", kind: "function", parameters };
const clock: Tool = { name: "showTime", kind: "function" };
const submit: Tool = { name: "submit", kind: "function" };
const tools = [weather, clock, submit];
const user = (text: string): Message => ({ role: "user", text });
const result: Message = { role: "tool", text: "sunny", toolCallId: "c" };
const called: Message = { role: "assistant", text: "" };

/** Name and arguments of what is called; undefined for a text. */
function callOf(
  messages: readonly Message[],
  given: readonly Tool[],
  toolChoice?: ToolChoice,
  when?: CallMode,
): unknown {
  const request: ModelRequest = {
    model: "m",
    messages,
    stop: [],
    sampling: {},
    tools: given,
    ...(toolChoice && { toolChoice }),
  };
  const call = toCall(request, when);
  return call && [call.tool.name, call.text];
}

describe("it calls", () => {
  test.each<[string, readonly Message[], ToolChoice | undefined, unknown]>([
    ["nothing of its own accord", [user("hello")], undefined, undefined],
    ["the tool whose name the user says", [user("how is the Weather?")], undefined, ["get_weather", '{"city":"city"}']],
    ["the tool whose name is in capitals", [user("what time is it")], { mode: "auto" }, ["showTime", "{}"]],
    ["nothing once there is a result", [user("the weather"), called, result], { mode: "auto" }, undefined],
    ["the tool that is named", [user("hello")], { mode: "named", name: "submit" }, ["submit", "{}"]],
    ["the first, if it must", [user("hello")], { mode: "required" }, ["get_weather", '{"city":"city"}']],
    ["the next at each turn", [user("hello"), called, result], { mode: "required" }, ["showTime", "{}"]],
    ["the last in the end", [user("a"), called, called, called, called], { mode: "required" }, ["submit", "{}"]],
    ["nothing, if it must not", [user("the weather")], { mode: "none" }, undefined],
    ["what is allowed", [user("hello")], { mode: "required", allowed: ["submit"] }, ["submit", "{}"]],
    ["what a line says", [user('go\n/call submit {"a":1}')], undefined, ["submit", '{"a":1}']],
    ["what a line says after a tag", [user("<a>so</a>/call submit")], undefined, ["submit", "{}"]],
    [
      "what the schema says, for a call within a sentence",
      [user('write /call submit {"a":1}')],
      undefined,
      ["submit", "{}"],
    ],
    ["the line of its step", [user("/call submit\n/call showTime {}"), called, result], undefined, ["showTime", "{}"]],
    ["nothing after the last line", [user("/call submit"), called, result], undefined, undefined],
    [
      "what it must after the last line",
      [user("/call submit"), called, result],
      { mode: "required" },
      ["showTime", "{}"],
    ],
    ["nothing that is no tool", [user("/call delete_all")], { mode: "auto" }, undefined],
  ])("%s", (_name, messages, choice, expected) => {
    expect(callOf(messages, tools, choice)).toEqual(expected);
  });

  test("nothing because of a word, where there are many tools, as agents have", () => {
    expect(callOf([user("the weather")], [...tools, { name: "other", kind: "function" }])).toBeUndefined();
  });

  test("a custom tool with what the user said", () => {
    expect(callOf([user("patch it")], [{ name: "patch", kind: "custom" }])).toEqual(["patch", "patch it"]);
  });

  test.each([
    ["of several lines, if a JSON string stands for it", '/call patch "*** Begin\\n+a\\n"', "*** Begin\n+a\n"],
    ["as it stands, if it is no JSON string", '/call patch {"a": 1}', '{"a": 1}'],
    ["that is empty, if nothing stands there", "/call patch", ""],
  ])("a custom tool with a text %s", (_name, said, expected) => {
    expect(callOf([user(said)], [{ name: "patch", kind: "custom" }])).toEqual(["patch", expected]);
  });
});

test("the answer repeats the last result, or else what the user said", () => {
  expect(toEcho({ messages: [user("hello"), called, result] })).toBe("sunny");
  expect(toEcho({ messages: [user("hello"), called, result, user("thanks")] })).toBe("thanks");
  expect(toEcho({ messages: [] })).toBe("");
});

describe("--tool-calls", () => {
  const asks = [user("the weather")];
  const forced: ToolChoice = { mode: "required" };
  test.each<[CallMode, unknown[]]>([
    ["never", [undefined, undefined, undefined, undefined, undefined]],
    ["forced", [undefined, undefined, "get_weather", "submit", undefined]],
    ["auto", [undefined, "get_weather", "get_weather", "submit", undefined]],
    ["always", ["get_weather", "get_weather", "get_weather", "submit", undefined]],
  ])("%s", (when, expected) => {
    const called = [
      callOf([user("hello")], tools, undefined, when),
      callOf(asks, tools, undefined, when),
      callOf([user("hello")], tools, forced, when),
      callOf([user("/call submit")], tools, undefined, when),
      callOf([...asks, result], tools, undefined, when),
    ];
    expect(called.map((call) => (Array.isArray(call) ? (call as unknown[])[0] : call))).toEqual(expected);
  });
});
