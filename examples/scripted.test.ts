// A test of a program that talks to a model: the model says what the test wrote, and nothing leaves the process.
import OpenAI, { RateLimitError } from "openai";
import { expect, test } from "vitest";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";

test("the program asks again after it was told to slow down", async () => {
  const config = { discoveryBackend: "mem", log: "error" } as const;
  const memorySpace = createMemorySpace();
  await using worker = await createRuntime({ config, memorySpace });
  await using caller = await createRuntime({ config, memorySpace });
  const asked: string[] = [];
  await serveModel(worker, { model: "scripted" }, async function* ({ messages }) {
    asked.push(messages.at(-1)?.text ?? "");
    if (asked.length === 1) throw new RuntimeError("rate_limited", "slow down", { retryAfterMs: 1_000 });
    yield { text: "The answer " };
    yield { text: "is 42." };
  });
  await using frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  const client = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "none", maxRetries: 0 });

  const question = { model: "scripted", messages: [{ role: "user" as const, content: "What is it?" }] };
  await expect(client.chat.completions.create(question)).rejects.toThrow(RateLimitError);
  const { choices } = await client.chat.completions.create(question);
  expect(choices[0]?.message.content).toBe("The answer is 42.");
  expect(asked).toEqual(["What is it?", "What is it?"]);
});
