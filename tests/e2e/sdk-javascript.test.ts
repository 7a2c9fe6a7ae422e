// The JavaScript clients against the same expectations: the official ones, the Vercel AI SDK, LangChain.
import { afterAll, beforeAll } from "vitest";
import { describeAnswers } from "./sdk/answers.ts";
import type { SdkClient } from "./sdk/client.ts";
import { describeEndings } from "./sdk/endings.ts";
import { describeErrors } from "./sdk/errors.ts";
import { openFixture, type SdkFixture } from "./sdk/fixture.ts";
import { createLangChainClients } from "./sdk/langchain.ts";
import { createAnthropicClient, createOpenAiClient } from "./sdk/official.ts";
import { describeSilence } from "./sdk/silence.ts";
import { createVercelClients } from "./sdk/vercel.ts";

const names = [
  "openai",
  "@anthropic-ai/sdk",
  "ai, openai.chat",
  "ai, openai-compatible",
  "ai, anthropic",
  "ChatOpenAI",
  "ChatAnthropic",
] as const;

const toClients = (url: string): SdkClient[] => [
  createOpenAiClient(url),
  createAnthropicClient(url),
  ...createVercelClients(url),
  ...createLangChainClients(url),
];

let fixture: SdkFixture<(typeof names)[number]>;
beforeAll(async () => {
  fixture = await openFixture(toClients);
});
afterAll(() => fixture[Symbol.asyncDispose]());

describeAnswers(names, () => fixture);
describeErrors(names, () => fixture);
describeEndings(names, () => fixture);
describeSilence(names, toClients);
