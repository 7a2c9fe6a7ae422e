/** Codex, pointed at dyn. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openAgent, type Agent } from "./agent.ts";
import { installNode } from "./install.ts";

const toSettings = (url: string, runId: string): string => `
model = "gpt-5.5"
model_provider = "dyn"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.dyn]
name = "dyn"
base_url = "${url}/v1"
wire_api = "responses"
http_headers = { "x-request-id" = "${runId}" }
`;

/** It knows the model's name, and so offers its tool for patches. @throws Error saying what is missing. */
export async function openCodex(url: string, runId: string): Promise<Agent> {
  const home = await installNode(join(import.meta.dirname, "../codex"));
  const agent = await openAgent(join(home, "node_modules", ".bin", "codex"), {});
  await mkdir(join(agent.home, ".codex"));
  await writeFile(join(agent.home, ".codex", "config.toml"), toSettings(url, runId));
  return agent;
}
