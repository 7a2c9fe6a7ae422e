/** pi, pointed at dyn by each API that it speaks. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openAgent, type Agent } from "./agent.ts";
import { installNode } from "./install.ts";

export type PiApi = "openai-completions" | "openai-responses" | "anthropic-messages";

/** @throws Error saying what is missing. */
export async function openPi(url: string, api: PiApi): Promise<Agent> {
  const home = await installNode(join(import.meta.dirname, "../pi"));
  const agent = await openAgent(join(home, "node_modules", ".bin", "pi"), { PI_OFFLINE: "1" });
  const model = { id: "mock", reasoning: true, input: ["text", "image"], contextWindow: 100_000, maxTokens: 8_000 };
  const settings = {
    providers: {
      dyn: {
        baseUrl: api === "anthropic-messages" ? url : `${url}/v1`,
        api,
        apiKey: "none",
        headers: { "x-request-id": api },
        models: [model],
      },
    },
  };
  await mkdir(join(agent.home, ".pi", "agent"), { recursive: true });
  await writeFile(join(agent.home, ".pi", "agent", "models.json"), JSON.stringify(settings));
  return agent;
}
