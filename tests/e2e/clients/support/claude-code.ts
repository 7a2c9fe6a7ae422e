/** Claude Code, pointed at dyn. */
import { join } from "node:path";
import { openAgent, type Agent } from "./agent.ts";
import { installNode } from "./install.ts";

/** What a user sets. */
function toSettings(url: string): Record<string, string> {
  const names = ["ANTHROPIC_MODEL", "HAIKU", "SONNET", "OPUS"];
  const models = names.map((name) => (name.startsWith("A") ? name : `ANTHROPIC_DEFAULT_${name}_MODEL`));
  return {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: "none",
    ...Object.fromEntries(models.map((name) => [name, "mock"])),
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    IS_SANDBOX: "1", // else it skips no permissions for root
  };
}

/** @throws Error saying what is missing. */
export async function openClaude(url: string): Promise<Agent> {
  const home = await installNode(join(import.meta.dirname, "../claude-code"));
  const name = `claude-code-${process.platform}-${process.arch}`;
  return openAgent(join(home, "node_modules", "@anthropic-ai", name, "claude"), toSettings(url));
}
