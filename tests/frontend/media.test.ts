// Images, audio and files: an engine that reads them gets them as the client sent them, and the client of another is told.
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Capability, type Message } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postChat } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const png = "iVBORw0KGgo=";
let runtimes: Runtime[];
let url: string;
let close: () => Promise<void>;
let seen: readonly Message[] = [];

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  const models: Readonly<Record<string, readonly Capability[]>> = {
    all: ["images", "audio", "files"],
    images: ["images"],
    none: [],
  };
  for (const [model, capabilities] of Object.entries(models))
    await serveModel(worker, { model, capabilities, endpoint: `dyn://dynamo.${model}.generate` }, async (request) => {
      seen = request.messages;
      return { text: "a cat" };
    });
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  ({ url } = frontend);
  close = () => frontend.close();
});
afterAll(async () => {
  await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});

function user(...content: readonly object[]): object {
  return { role: "user", content };
}

async function anthropic(model: string, messages: readonly object[]): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ model, max_tokens: 9, messages });
  return (await fetch(`${url}/v1/messages`, { method: "POST", headers, body })).status;
}

const text = { type: "text", text: "what is it?" };
const asked = { kind: "text", text: "what is it?" };
const history = [
  { role: "assistant", content: "a cat" },
  { role: "user", content: "and now?" },
];

describe("an engine that reads them has", () => {
  test.each([
    [
      "the bytes of an image",
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}`, detail: "low" } },
      { kind: "image", data: png, mediaType: "image/png", detail: "low" },
    ],
    [
      "the address of an image",
      { type: "image_url", image_url: { url: "https://example.com/cat.png" } },
      { kind: "image", url: "https://example.com/cat.png" },
    ],
    [
      "a data URL that is no base64",
      { type: "image_url", image_url: { url: "data:,x" } },
      { kind: "image", url: "data:,x" },
    ],
    [
      "a sound",
      { type: "input_audio", input_audio: { data: "UklG", format: "wav" } },
      { kind: "audio", data: "UklG", mediaType: "wav" },
    ],
    [
      "a file",
      { type: "file", file: { file_data: `data:application/pdf;base64,${png}`, filename: "a.pdf" } },
      { kind: "file", data: png, mediaType: "application/pdf", name: "a.pdf" },
    ],
    ["a file that is elsewhere", { type: "file", file: { file_id: "f" } }, { kind: "file", fileId: "f" }],
  ])("%s of OpenAI's clients, between the texts", async (_name, part, media) => {
    const response = await postChat(url, { model: "all", messages: [user(text, part, text)] });
    expect(response.status).toBe(200);
    expect(seen).toEqual([{ role: "user", text: "what is it?what is it?", parts: [asked, media, asked] }]);
  });

  test.each([
    [
      "the bytes of an image",
      { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
      { kind: "image", data: png, mediaType: "image/png" },
    ],
    [
      "the address of an image",
      { type: "image", source: { type: "url", url: "https://example.com/cat.png" } },
      { kind: "image", url: "https://example.com/cat.png" },
    ],
    [
      "a document",
      { type: "document", title: "a", source: { type: "base64", media_type: "application/pdf", data: png } },
      { kind: "file", data: png, mediaType: "application/pdf", name: "a" },
    ],
    [
      "a document that is elsewhere",
      { type: "document", source: { type: "file", file_id: "f" } },
      { kind: "file", fileId: "f" },
    ],
  ])("%s of Anthropic's clients, also in the result of a tool", async (_name, block, media) => {
    const result = { type: "tool_result", tool_use_id: "t", content: [block] };
    expect(await anthropic("all", [user(block, text), { role: "assistant", content: "hm" }, user(result)])).toBe(200);
    expect(seen).toEqual([
      { role: "user", text: "what is it?", parts: [media, asked] },
      { role: "assistant", text: "hm" },
      { role: "tool", text: "", parts: [media], toolCallId: "t" },
    ]);
  });

  test("no parts where all is text", async () => {
    await postChat(url, { model: "all", messages: [user(text)] });
    expect(seen).toEqual([{ role: "user", text: "what is it?" }]);
  });
});

describe("an engine that does not", () => {
  const image = { type: "image_url", image_url: { url: "https://example.com/cat.png" } };
  const file = { type: "file", file: { file_id: "f" } };

  test.each([
    ["none", image, "messages[0].content[1].type: image_url is not read by this model; in earlier turns it is skipped"],
    ["images", file, "messages[0].content[1].type: file is not read by this model; in earlier turns it is skipped"],
  ])("(%s) gets no question with one", async (model, part, message) => {
    const response = await postChat(url, { model, messages: [user(text, part)] });
    expect([response.status, await response.json()]).toMatchObject([400, { error: { message } }]);
  });

  test("gets a conversation without those of earlier turns", async () => {
    const messages = [user(text, image, file), ...history];
    expect((await postChat(url, { model: "images", messages })).status).toBe(200);
    expect(seen[0]).toEqual({
      role: "user",
      text: "what is it?",
      parts: [asked, { kind: "image", url: "https://example.com/cat.png" }],
    });
    expect((await postChat(url, { model: "none", messages })).status).toBe(200);
    expect(seen[0]).toEqual({ role: "user", text: "what is it?" });
  });
});

test("a part that is no such part is refused by its field", async () => {
  const response = await postChat(url, { model: "all", messages: [user({ type: "image_url", image_url: "x" })] });
  expect([response.status, await response.json()]).toMatchObject([
    400,
    { error: { message: "messages[0].content[0].image_url must be an object" } },
  ]);
  expect(await anthropic("all", [user({ type: "image", source: { type: "base64" } })])).toBe(400);
});
