// The example of the cookbook that runs a real engine, with a model that a script makes: its text is nonsense, all else is real.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI, { APIError } from "openai";
import type { ChatCompletionCreateParams } from "openai/resources";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, lineOf, root, startProgram, type Program } from "../support/cluster.ts";
import { openDirectory, type Directory } from "../support/directory.ts";
import { prepareEngine } from "./llama/engine.ts";

const run = promisify(execFile);
const binary = (name: string): string => join(root, "node_modules/.bin", name);

let directory: Directory;
let frontend: Program;
let worker: Program;
let client: OpenAI;

/** A project with the example, the runtime and the engine, as a user has it. */
async function makeProject(folder: string): Promise<void> {
  const engine = await prepareEngine();
  await mkdir(join(folder, "node_modules/@dyn"), { recursive: true });
  await symlink(join(engine, "node_modules/node-llama-cpp"), join(folder, "node_modules/node-llama-cpp"));
  await symlink(join(root, "packages/runtime"), join(folder, "node_modules/@dyn/runtime"));
  await symlink(join(root, "node_modules/@types"), join(folder, "node_modules/@types"));
  await copyFile(join(root, "examples/llama.ts"), join(folder, "llama.ts"));
  const compilerOptions = { noEmit: true, declaration: false, isolatedDeclarations: false };
  const config = { extends: join(root, "tsconfig.base.json"), compilerOptions, include: ["llama.ts"] };
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
}

// One thread: more of them wait for each other at every layer of a model as small as this.
function startWorker(name: string, ...args: string[]): Program {
  const env = { DYN_FILE_KV: join(directory.path, "kv") };
  const [script, path] = [join(directory.path, "project/llama.ts"), join(directory.path, `${name}.gguf`)];
  return startProgram("node", [script, path, "--threads", "1", "--context", "32768", ...args], env);
}

beforeAll(async () => {
  directory = await openDirectory("dyn-llama-");
  await makeProject(join(directory.path, "project"));
  const make = join(root, "examples/tiny-model.ts");
  // The answers of one never end by themselves.
  for (const [name, length] of [
    ["endless", "0"],
    ["brief", "20"],
  ] as const)
    await run(binary("node"), [make, join(directory.path, `${name}.gguf`), "--length", length]);
  const env = { DYN_FILE_KV: join(directory.path, "kv"), DYN_LOG: "debug" };
  frontend = startProgram("dyn-frontend", ["--http-port", "0"], env);
  worker = startWorker("endless");
  const baseURL = `${String((await lineOf(frontend, "frontend is listening"))["url"])}/v1`;
  client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  await lineOf(frontend, "instance joined", { model: "endless" });
});
afterAll(async () => {
  const programs: (AsyncDisposable | undefined)[] = [frontend, worker, directory]; // what the beginning came to
  for (const program of programs) await program?.[Symbol.asyncDispose]();
});

type Fields = Partial<Omit<ChatCompletionCreateParams, "stream">>;

function chat(content: string, fields: Fields) {
  return { model: "endless", messages: [{ role: "user" as const, content }], ...fields };
}

async function answer(content: string, fields: Fields) {
  const { choices, usage } = await client.chat.completions.create(chat(content, fields));
  return { texts: choices.map(({ message }) => message.content), reason: choices[0]?.finish_reason, usage };
}

/** A streamed answer that has begun. It goes on until it is left. */
async function begin(content: string) {
  const aborter = new AbortController();
  const { data: stream, response } = await client.chat.completions
    .create({ ...chat(content, { temperature: 0 }), stream: true }, { signal: aborter.signal })
    .withResponse();
  for await (const { choices } of iterate(stream)) if (choices[0]?.delta.content) break;
  return { id: response.headers.get("x-request-id"), leave: () => aborter.abort() };
}

// A loop over the stream itself would end the request when it is left.
async function* iterate<Item>(items: AsyncIterable<Item>) {
  const iterator = items[Symbol.asyncIterator]();
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

test("the llama example compiles against the types of its engine", async () => {
  const compiled = run(binary("tsc"), ["-p", join(directory.path, "project")]);
  expect(await compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" });
});

test("the llama example answers the same at temperature 0, streamed or not, and its tokens are counted", async () => {
  const fields = { temperature: 0, max_tokens: 40 };
  const first = await answer("ka lo", fields);
  expect(first.texts[0]).toMatch(/^[ a-zé語]{40,}$/);
  expect(first.reason).toBe("length");
  // Of the chat template, too, as the model's tokenizer has it; the runtime would count two words.
  expect(first.usage).toMatchObject({ prompt_tokens: 22, completion_tokens: 40, total_tokens: 62 });

  const stream = await client.chat.completions.create({
    ...chat("ka lo", fields),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const texts = chunks.flatMap(({ choices }) => choices[0]?.delta.content || []);
  expect(texts).toHaveLength(40);
  expect(texts.join("")).toBe(first.texts[0]);
  const usage = chunks.at(-1)?.usage;
  expect(usage).toMatchObject({ prompt_tokens: 22, completion_tokens: 40 });
  expect(usage?.prompt_tokens_details?.cached_tokens).toBe(21); // its last token is evaluated to go on from
});

test("the llama example counts a prompt for those who only ask how long it is", async () => {
  const counted = await fetch(`${client.baseURL}/messages/count_tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(chat("ka lo", {})),
  });
  expect(await counted.json()).toEqual({ input_tokens: 22 });
});

test("the llama example answers the same for a seed, and differently for another and for each choice", async () => {
  const ask = (seed: number, n = 1) => answer("ka lo", { temperature: 1, seed, n, max_tokens: 30 });
  const [first, again, other, both] = [await ask(1), await ask(1), await ask(2), await ask(1, 2)];
  expect(again.texts).toEqual(first.texts);
  expect(other.texts).not.toEqual(first.texts);
  expect(both.texts).toEqual([first.texts[0], other.texts[0]]);
  expect(both.usage).toMatchObject({ prompt_tokens: 22, completion_tokens: 60 });
});

test("the llama example ends at a stop text", async () => {
  const { texts } = await answer("ka lo", { temperature: 0, max_tokens: 40 });
  const text = texts[0] ?? "";
  const stop = text.slice(20, 24);
  const stopped = await answer("ka lo", { temperature: 0, max_tokens: 40, stop });
  expect(stopped).toMatchObject({ texts: [text.slice(0, text.indexOf(stop))], reason: "stop" });
  expect(stopped.usage?.completion_tokens).toBeLessThan(40);
});

test("the llama example completes bare prompts, texts and token ids", async () => {
  const ask = async (prompt: string | number[]) => {
    const made = await client.completions.create({ model: "endless", prompt, temperature: 0, max_tokens: 5 });
    return [made.usage?.prompt_tokens, made.usage?.completion_tokens];
  };
  expect(await ask([270, 280])).toEqual([3, 5]); // with the token that begins a text
  expect((await ask("ka lo"))[1]).toBe(5);
  await expect(ask([270, 99_999])).rejects.toMatchObject({ status: 400, param: "prompt" });
});

test("the llama example refuses a prompt that its context has no room for", async () => {
  const refusal = await answer("語 ".repeat(40_000), {}).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(APIError);
  expect(refusal).toMatchObject({ status: 400, code: "context_length_exceeded", param: "messages" });
});

test("the llama example answers two at a time, and a client that leaves makes room for the next", async () => {
  const [one, two] = await Promise.all([begin("ka"), begin("lo")]);
  const id = randomUUID();
  const third = client.chat.completions.create(chat("mi", { max_tokens: 2 }), { headers: { "x-request-id": id } });
  await lineOf(worker, "request received", { x_request_id: id }); // an engine without a place for it would fail it now
  one.leave();
  expect(await third).toMatchObject({ usage: { completion_tokens: 2 } });
  two.leave();
  for (const { id } of [one, two]) await lineOf(worker, "request completed", { request_id: id, status: "cancelled" });
  await Promise.all([answer("ka", { max_tokens: 2 }), answer("lo", { max_tokens: 2 })]); // both places are free
});

test("the llama example ends where the model ends its answer", async () => {
  await using brief = startWorker("brief");
  await lineOf(frontend, "model added", { model: "brief" });
  const { choices, usage } = await client.chat.completions.create({ ...chat("ka lo", { seed: 1 }), model: "brief" });
  expect(choices[0]?.finish_reason).toBe("stop");
  expect(usage?.completion_tokens).toBeGreaterThan(0);
  brief.kill("SIGTERM");
  expect(await brief.exited).toBe(0);
});

test("another instance of the llama example goes on with an answer whose worker is lost", async () => {
  await using other = startWorker("endless");
  const { instance_id } = await lineOf(other, "endpoint is serving");
  await lineOf(frontend, "instance joined", { instance_id, model: "endless" });
  const stream = await client.chat.completions
    .create({
      ...chat("ka lo", { temperature: 0, max_tokens: 1_500 }),
      stream: true,
      stream_options: { include_usage: true },
    })
    .withResponse();
  const id = stream.response.headers.get("x-request-id");
  const workers = [worker, other];
  const isAt = (program: Program): boolean =>
    program.lines().some((line) => line["request_id"] === id && line["message"] === "request received");
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of stream.data) {
    chunks.push(chunk);
    if (chunks.length === 10) (await eventually("its worker", () => workers.find(isAt))).kill("SIGKILL");
  }
  expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 22, completion_tokens: 1_500 });
  const resumed = await eventually("the line of the other", () =>
    workers.flatMap((program) => program.lines()).find((line) => line["request_id"] === id && line["resumed_tokens"]),
  );
  expect(resumed).toMatchObject({ message: "request completed", output_tokens: 1_500, finish_reason: "length" });
});
