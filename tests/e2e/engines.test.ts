// Engines of users: what they yield reaches every client as it is, what goes wrong in them stays theirs.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel } from "@dyn/runtime/llm";
import { createLogger } from "../support/logger.ts";
import { chat, eventually, postChat, root, startCluster, startProgram, type Line } from "../support/cluster.ts";

const text = "smile 😀😀 family 👩‍👩‍👧 end";
const half = text.indexOf("😀") + 1;
const parameters = '{"properties":{"__proto__":{"maximum":12345678901234567890},"x":{"const":1e400}}}';

describe("what an engine yields and is given", () => {
  const lines: Line[] = [];
  const runtimes: Runtime[] = [];
  let frontend: Frontend;
  beforeAll(async () => {
    const memorySpace = createMemorySpace();
    const open = async (): Promise<Runtime> => {
      const log = createLogger({ sink: (record) => lines.push(record) });
      const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log: log.pino });
      runtimes.push(runtime);
      return runtime;
    };
    for (const runtime of [await open(), await open()]) {
      // Every unit of UTF-16 is a delta of its own; "cut" loses the connection within a character, where there is another worker.
      await serveModel(
        runtime,
        { model: "cutter", migrationLimit: 3 },
        async function* ({ messages, generated }, context) {
          for (let at = generated?.tokens ?? 0; at < text.length; at += 1) {
            yield { text: text.charAt(at), tokenIds: [at] };
            if (messages.at(-1)?.text !== "cut" || context.attempt > 0 || at + 1 !== half) continue;
            await new Promise((resolve) => setImmediate(resolve)); // what was yielded has left
            partsOf(context).connection.cut();
          }
        },
      );
    }
    const endpoint = (name: string): string => `dyn://dynamo.${name}.generate`;
    const [worker] = runtimes;
    if (!worker) throw new Error("no worker");
    await serveModel(worker, { model: "tools", endpoint: endpoint("tools") }, async function* (request) {
      yield { text: JSON.stringify([request.tools, request.toolChoice]) };
    });
    await serveModel(worker, { model: "half", endpoint: endpoint("half") }, async function* () {
      yield { text: "a\ud83d" };
    });
    await serveModel(worker, { model: "limited", endpoint: endpoint("limited") }, async () => {
      throw new RuntimeError("rate_limited", "6 s too early", {
        details: { limit: 2n ** 60n },
        apiCode: "tokens_per_minute",
        param: "messages",
        retryAfterMs: 6_001,
      });
    });
    frontend = await createFrontend({ runtime: await open(), httpPort: 0 });
    await eventually("the models", async () => {
      const response = await fetch(`${frontend.url}/v1/models`);
      return ((await response.json()) as { data: unknown[] }).data.length === 4;
    });
  });
  afterAll(async () => {
    await frontend[Symbol.asyncDispose]();
    await Promise.all(runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
  });

  const post = (path: string, body: object): Promise<Response> =>
    fetch(`${frontend.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  // The texts of a stream's events, each as a client has it on its own.
  async function readTexts(response: Response): Promise<string[]> {
    const events = (await response.text())
      .split("\n")
      .flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6)) as unknown] : []));
    const pick = (event: unknown): string => {
      const { choices, delta } = event as {
        choices?: { text?: string; delta?: { content?: string } }[];
        delta?: { text?: string };
      };
      return choices?.[0]?.delta?.content ?? choices?.[0]?.text ?? delta?.text ?? "";
    };
    return events.map(pick);
  }

  const messages = [{ role: "user", content: "hi" }];
  const routes: [path: string, body: object][] = [
    ["/v1/chat/completions", { messages }],
    ["/v1/completions", { prompt: "hi", max_tokens: 100 }],
    ["/v1/messages", { messages, max_tokens: 100 }],
  ];

  test.each(routes)("reaches the client of %s whole, wherever it was cut", async (path, body) => {
    const unary = (await (await post(path, { model: "cutter", ...body })).json()) as {
      choices?: { text?: string; message?: { content: string } }[];
      content?: { text: string }[];
    };
    expect(unary.choices?.[0]?.message?.content ?? unary.choices?.[0]?.text ?? unary.content?.[0]?.text).toBe(text);
    const texts = await readTexts(await post(path, { model: "cutter", ...body, stream: true }));
    expect(texts.join("")).toBe(text);
    expect(texts.filter((each) => !each.isWellFormed())).toEqual([]);
  });

  test.each(routes)("has its own words for its failure, at %s", async (path, body) => {
    const response = await post(path, { model: "limited", ...body });
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("7");
    const { error } = (await response.json()) as { error: object };
    const said = { message: "6 s too early", type: "rate_limit_error", details: { limit: String(2n ** 60n) } };
    const openai = { ...said, param: "messages", code: "tokens_per_minute" };
    expect(error).toEqual(path === "/v1/messages" ? said : openai);
    const events = await (await post(path, { model: "limited", ...body, stream: true })).text();
    expect(events).toContain(JSON.stringify(error));
  });

  test("is whole before a stop string", async () => {
    const stop = text.slice(half + 1);
    const texts = await readTexts(
      await post("/v1/chat/completions", { model: "cutter", messages, stop: [stop], stream: true }),
    );
    expect(texts.join("")).toBe(text.slice(0, half + 1));
  });

  test("is whole if its worker is lost within a character", async () => {
    const cut = [{ role: "user", content: "cut" }];
    const texts = await readTexts(await post("/v1/chat/completions", { model: "cutter", messages: cut, stream: true }));
    expect(texts.join("")).toBe(text);
    expect(lines.findLast(({ message }) => message === "request completed")).toMatchObject({
      output_tokens: text.length,
    });
    expect(lines.some(({ resumed_tokens: tokens }) => tokens === half - 1)).toBe(true);
  });

  test("is told of once if half of a character is all there is", async () => {
    for (let round = 0; round < 3; round += 1) {
      const response = await postChat(frontend.url, { ...chat("hi"), model: "half" });
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: "a\ufffd" } }] });
    }
    const told = lines.filter(({ message }) => String(message).includes("half of a surrogate pair"));
    expect(told).toEqual([expect.objectContaining({ level: "WARN", model: "half", request_id: expect.any(String) })]);
  });

  test.each([
    ["/v1/chat/completions", `{"type":"function","function":{"name":"f","parameters":${parameters}}}`, '"auto"'],
    ["/v1/messages", `{"name":"f","input_schema":${parameters}}`, '{"type":"auto"}'],
  ])("has the tools of %s to the last digit", async (path, tool, choice) => {
    const more = `"max_tokens":100,"tools":[${tool}],"tool_choice":${choice}`;
    const body = `{"model":"tools","messages":${JSON.stringify(messages)},${more}}`;
    const response = await fetch(`${frontend.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as {
      choices?: { message: { content: string } }[];
      content?: { text: string }[];
    };
    expect(answer.choices?.[0]?.message.content ?? answer.content?.[0]?.text).toBe(
      `[[{"name":"f","kind":"function","parameters":${parameters}}],{"mode":"auto"}]`,
    );
  });

  test("is served at an address of its own: a second model at the same one is refused with that word", async () => {
    const [worker] = runtimes;
    const second = worker && serveModel(worker, { model: "second" }, async function* () {});
    await expect(second).rejects.toThrow(
      "dynamo/backend/generate is served by this runtime already; a second handler or model needs an endpoint of its own",
    );
  });
});

test.each([
  ["{}", "model must be a name of 1 to 256 characters, got undefined"],
  ['{"model":""}', "model must be a name of 1 to 256 characters, got 0"],
  [`{"model":"${"m".repeat(257)}"}`, "model must be a name of 1 to 256 characters, got 257"],
  ['{"model":"m","role":"both"}', 'role must be one of aggregated, prefill, decode, got "both"'],
  ['{"model":"m","contextLength":"8192"}', 'contextLength must be a whole number from 0, got "8192"'],
  ['{"model":"m","migrationLimit":-1}', "migrationLimit must be a whole number from 0, got -1"],
  ['{"model":"m","contextLenght":8192}', "contextLenght is no option; did you mean contextLength?"],
])("serveModel with the options %.20s says what is wrong", async (options, message) => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem", log: "off" }, environment: {} });
  await expect(serveModel(runtime, JSON.parse(options), async function* () {})).rejects.toMatchObject({
    code: "invalid_argument",
    message,
  });
});

test("a worker in plain JavaScript outlives what its engine gets wrong, and its log says what that was", async () => {
  await using cluster = await startCluster({ workers: 0 });
  await using worker = startProgram("node", [`${root}/tests/support/plain-worker.mjs`], {
    DYN_FILE_KV: cluster.directory,
  });
  const ask = (content: string): Promise<Response> => postChat(cluster.url, { ...chat(content), model: "plain" });
  await eventually("the worker", async () => (await ask("hello")).status === 200);
  for (const content of ["unknown code", "call", "no text"]) expect((await ask(content)).status).toBe(500);
  expect((await ask("still here")).status).toBe(200);
  const errors = await eventually("its lines", () => {
    const failed = worker
      .lines()
      .filter(({ message, status }) => message === "request completed" && status === "error");
    return failed.length === 3 && failed.map(({ error }) => String(error));
  });
  expect(errors[0]).toMatch(
    /^TypeError: "not-found" is no error code, expected one of .*; the message was: no such document/,
  );
  expect(errors[1]).toMatch(/^Error: the backend is down[^]*caused by: Error: connect ECONNREFUSED 127\.0\.0\.1:1/);
  expect(errors[2]).toBe('text of a delta must be a string, "" where there is none, the engine yielded undefined');
});
