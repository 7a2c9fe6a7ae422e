/** opencode, pointed at dyn by each of its providers. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openAgent, type Agent } from "./agent.ts";
import { installNode } from "./install.ts";

/** `npm` of a provider in its settings: which API it speaks. They are part of its program. */
export type Provider = "@ai-sdk/openai-compatible" | "@ai-sdk/anthropic" | "@ai-sdk/openai";

/** @throws Error saying what is missing. */
export async function openOpencode(url: string, npm: Provider, runId: string): Promise<Agent> {
  const home = await installNode(join(import.meta.dirname, "../opencode"));
  const agent = await openAgent(join(home, "node_modules", "opencode-linux-x64-baseline", "bin", "opencode"), {
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  });
  const options = { baseURL: `${url}/v1`, apiKey: "none", headers: { "x-request-id": runId } };
  const settings = {
    autoupdate: false,
    share: "disabled",
    permission: "allow",
    model: "dyn/mock",
    small_model: "dyn/mock",
    provider: { dyn: { npm, options, models: { mock: { name: "mock" } } } },
  };
  await writeFile(join(agent.directory, "opencode.json"), JSON.stringify(settings));
  return agent;
}
