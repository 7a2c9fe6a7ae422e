// dyn-upstream-worker as its users run it: in front of a dyn of its own, and of servers that fail.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { chat, eventually, lineOf, postChat, startCluster, startProgram, type Program } from "../support/cluster.ts";
import { piece, sendEvents, startScriptedServer, type ScriptedServer } from "../upstream-worker/scripted-server.ts";

type Cluster = Awaited<ReturnType<typeof startCluster>>;

function startWorker(cluster: Cluster, url: string, ...args: readonly string[]): Program {
  return startProgram("dyn-upstream-worker", ["--url", url, ...args], { DYN_FILE_KV: cluster.directory });
}

function whenJoined({ frontend }: Cluster, count: number): Promise<unknown> {
  const isJoin = ({ message }: { readonly message?: unknown }): boolean => message === "instance joined";
  return eventually("instances joining", () => frontend.lines().filter(isJoin).length === count);
}

describe("in front of another dyn", () => {
  test("streams, tool calls and both APIs go through, and a request has the same ids at both ends", async () => {
    await using upstream = await startCluster();
    await using front = await startCluster({ workers: 0 });
    await using worker = startWorker(front, `${upstream.url}/v1`, "--model-name", "far=mock");
    await whenJoined(front, 1);
    const openai = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: "unused", maxRetries: 0 });
    const messages = [{ role: "user", content: "one two three" }] as const;
    const ids = { headers: { "x-request-id": "ours" } };
    const stream = openai.chat.completions.stream(
      { model: "far", messages: [...messages], stream_options: { include_usage: true } },
      ids,
    );
    const { choices, usage } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({ message: { content: "one two three" }, finish_reason: "stop" });
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 3 });
    const said = await lineOf(worker, "request completed", { x_request_id: "ours" });
    const heard = await lineOf(upstream.frontend, "request completed", { x_request_id: "ours" });
    expect(heard).toMatchObject({ trace_id: said["trace_id"] });
    expect(said).toMatchObject({ upstream_request_id: "ours", model: "far" });

    const tool = { type: "function", function: { name: "find", parameters: { type: "object" } } } as const;
    const called = await openai.chat.completions.create({
      model: "far",
      messages: [{ role: "user", content: '/call find {"q":1}' }],
      tools: [tool],
    });
    expect(called.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { tool_calls: [{ function: { name: "find", arguments: '{"q":1}' } }] },
    });
    const anthropic = new Anthropic({ baseURL: front.url, apiKey: "unused", maxRetries: 0 });
    const message = await anthropic.messages.create({ model: "far", max_tokens: 2, messages: [...messages] });
    expect(message).toMatchObject({ content: [{ type: "text", text: "one two" }], stop_reason: "max_tokens" });
    const completion = await openai.completions.create({ model: "far", prompt: "a b", n: 2 });
    expect(completion.choices.map(({ text }) => text)).toEqual(["a b", "a b"]);
  });

  test("a refusal of the upstream is the client's, in its words", async () => {
    await using upstream = await startCluster({ workerArgs: ["--fault", "error:invalid_argument"] });
    await using front = await startCluster({ workers: 0 });
    await using worker = startWorker(front, `${upstream.url}/v1`);
    await whenJoined(front, 1);
    const direct = await postChat(upstream.url, chat("hi"));
    const refused = await postChat(front.url, chat("hi"));
    expect([direct.status, refused.status]).toEqual([400, 400]);
    expect(await refused.json()).toEqual(await direct.json());
    await upstream.frontend[Symbol.asyncDispose]();
    await lineOf(worker, "the upstream does not answer as it should: a model is withdrawn until it does");
  });
});

/** Answers that a test ends when it likes, and how many there are. */
function hold(server: ScriptedServer, first: readonly unknown[]): Parameters<ScriptedServer["answer"]>[0][] {
  const held: Parameters<ScriptedServer["answer"]>[0][] = [];
  server.answer = (response) => {
    if (first.length > 0) sendEvents(response, ...first);
    held.push(response);
  };
  return held;
}

function finish(response: Parameters<ScriptedServer["answer"]>[0] | undefined): void {
  if (!response) throw new Error("nothing has been asked");
  sendEvents(response, piece({ content: "well" }, "stop"), "[DONE]");
  response.end();
}

const asked = { model: "up", messages: [{ role: "user", content: "hello" }] };

describe("two workers of servers that are slow", () => {
  test("one that is killed before the first token costs its request nothing", async () => {
    await using server = await startScriptedServer();
    await using front = await startCluster({ workers: 0 });
    await using first = startWorker(front, server.url);
    await using second = startWorker(front, server.url);
    await whenJoined(front, 2);
    const held = hold(server, []);
    const answer = postChat(front.url, asked);
    await eventually("the request", () => held.length === 1);
    const has = (worker: Program): boolean => worker.lines().some(({ message }) => message === "request received");
    const asking = await eventually("its line", () => [first, second].find(has)); // it is written later than the upstream is asked
    asking.kill("SIGKILL");
    await eventually("the request again", () => held.length === 2);
    finish(held[1]);
    const body = await (await answer).json();
    expect(body).toMatchObject({ choices: [{ message: { content: "well" } }] });
  });

  test("one that is killed after it is an error at the client, not the end of an answer", async () => {
    await using server = await startScriptedServer();
    await using front = await startCluster({ workers: 0 });
    await using only = startWorker(front, server.url);
    await whenJoined(front, 1);
    hold(server, [piece({ content: "half" })]);
    const openai = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: "unused", maxRetries: 0 });
    const stream = await openai.chat.completions.create({
      model: "up",
      messages: [{ role: "user", content: "hello" }],
      stream: true,
    });
    const read = async (): Promise<void> => {
      for await (const { choices } of stream) if (choices[0]?.delta.content === "half") only.kill("SIGKILL");
    };
    await expect(read()).rejects.toThrow("the connection to the worker was lost");
  });
});

test("SIGTERM lets what runs finish, and then ends it", async () => {
  await using server = await startScriptedServer();
  await using front = await startCluster({ workers: 0 });
  await using worker = startWorker(front, server.url);
  await whenJoined(front, 1);
  const held = hold(server, [piece({ content: "all is " })]);
  const answer = postChat(front.url, asked);
  await eventually("the request", () => held.length === 1);
  worker.kill("SIGTERM");
  await lineOf(worker, "shutdown requested, draining; a second signal ends at once");
  finish(held[0]);
  expect(await (await answer).json()).toMatchObject({ choices: [{ message: { content: "all is well" } }] });
  expect(await worker.exited).toBe(0);
});

test("with a server that is not there it waits for it, and ends at a signal", async () => {
  await using front = await startCluster({ workers: 0 });
  await using worker = startWorker(front, "http://127.0.0.1:9/v1");
  const line = await lineOf(worker, "health check fails");
  expect(line).toMatchObject({ check: "upstream", error: expect.stringContaining("ECONNREFUSED") as string });
  worker.kill("SIGTERM");
  expect(await worker.exited).toBe(0);
});

test.each([
  [[], "say where the upstream's API begins, for example --url http://127.0.0.1:11434/v1"],
  [["--url", "localhost:11434"], "expected the address of an API, such as http://127.0.0.1:11434/v1"],
  [["--url", "http://a/v1", "--model-name", "a,b=c,a"], "expected each name once"],
  [["--url", "http://a/v1", "--capabilities", "magic"], "expected one of tools, images"],
  [["--url", "http://a/v1", "--idle-timeout-ms", "0"], "expected a whole number from 1"],
])("%j is one clear line and a non-zero exit", async (args, message) => {
  await using program = startProgram("dyn-upstream-worker", args, { DYN_DISCOVERY_BACKEND: "mem" });
  expect(await program.exited).toBe(1);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
  expect(program.stderr()).toContain(message);
});
