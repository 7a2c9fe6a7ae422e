// What agents send is answered, also where the frontend refuses what nobody knows, and by a model that does nothing but talk.
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chatRequests } from "./agents/chat-requests.ts";
import { messageRequests } from "./agents/message-requests.ts";
import type { AgentRequest } from "./agents/request.ts";

const agentRequests = [...chatRequests, ...messageRequests];

const config = { discoveryBackend: "mem", log: "off" } as const;
let close: () => Promise<void>;
let url: string;
let strictUrl: string;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  const worker = await startMockWorker({ config, memorySpace });
  const runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [first, second, third] = runtimes as [Runtime, Runtime, Runtime];
  await serveModel(first, { model: "talker", endpoint: "dyn://dynamo.talker.generate" }, ({ messages }) =>
    Promise.resolve({ text: `heard ${messages.at(-1)?.text}` }),
  );
  const frontend = await createFrontend({ runtime: second, httpPort: 0 });
  const strict = await createFrontend({ runtime: third, httpPort: 0, httpUnknownFields: "refuse" });
  [url, strictUrl] = [frontend.url, strict.url];
  close = async () => {
    await frontend.close();
    await strict.close();
    await worker.close();
    await Promise.all(runtimes.map((runtime) => runtime.close()));
  };
});
afterAll(() => close());

async function post(base: string, { path, body }: AgentRequest, model = "mock"): Promise<[number, string]> {
  const response = await fetch(`${base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ ...body, model }),
  });
  return [response.status, toText(await response.text())];
}

// The text of a stream, or the body.
function toText(answer: string): string {
  const texts = [...answer.matchAll(/"(?:text|content)":("(?:[^"\\]|\\.)*")/g)].map(
    ([, text = ""]) => JSON.parse(text) as string,
  );
  return texts.length > 0 ? texts.join("") : answer;
}

test.each(agentRequests)("$name is answered", async (request) => {
  const [status, text] = await post(url, request);
  expect([status, text]).toEqual([200, expect.stringContaining(request.answer)]);
  expect(text).not.toContain("error");
});

// Qwen's own fields are no one else's.
test.each(agentRequests.filter(({ body }) => !("enable_thinking" in body)))(
  "$name has no field that nobody knows",
  async (request) => {
    expect(await post(strictUrl, request)).toEqual([200, expect.stringContaining(request.answer)]);
  },
);

// A question with an image is none for a model that sees nothing.
test.each(agentRequests.filter(({ name }) => !name.startsWith("pi 0.73")))(
  "$name is answered by a model that only talks",
  async (request) => {
    const [status, text] = await post(url, request, "talker");
    expect([status, text]).toEqual([200, expect.stringMatching(/heard|input_tokens/)]);
  },
);
