// The tests that need other programs: what each needs, which files use it, and what makes it ready. `npm run test:all` runs them.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { node } from "./bootstrap.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** `prepare`, with its arguments, is run by the pinned Node.js; it ends with 0 once the program is there, else its last words say what is missing. */
export const externals = [
  {
    name: "Python 3.10 or newer with the official clients",
    files: ["tests/external/sdk-python.test.ts"],
    prepare: ["tests/e2e/sdk/python/environment.ts"],
  },
  {
    name: "Python 3.10 or newer with LangChain, OpenAI Agents, Pydantic AI, LiteLLM and Instructor",
    files: ["tests/external/clients-python.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/python", "tests/e2e/clients/instructor"],
  },
  {
    name: "OpenAI's Agents SDK of npm",
    files: ["tests/external/clients-agents-sdk.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/agents-sdk"],
  },
  {
    name: "the npm package compatcanary",
    files: ["tests/external/clients-canary.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/canary"],
  },
  {
    name: "Claude Code of npm",
    files: ["tests/external/clients-claude-code.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/claude-code"],
  },
  {
    name: "Codex of npm",
    files: ["tests/external/clients-codex.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/codex"],
  },
  {
    name: "pi of npm",
    files: ["tests/external/clients-pi.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/pi"],
  },
  {
    name: "opencode of npm on Linux (x64)",
    files: ["tests/external/clients-opencode.test.ts"],
    prepare: ["tests/e2e/clients/support/install.ts", "tests/e2e/clients/opencode"],
  },
  {
    name: "llama.cpp for Node.js on Linux (x64)",
    files: ["tests/external/llama.test.ts"],
    prepare: ["tests/external/llama/engine.ts"],
  },
  {
    name: "Linux with unshare and user namespaces",
    files: ["tests/external/first-process.test.ts"],
    prepare: ["tests/external/namespaces.ts"],
  },
];

/** Make one ready. @returns undefined, or why it cannot be had. */
export function prepare(external, env) {
  const [file, ...args] = external.prepare;
  const child = spawn(node, [join(root, file), ...args], { stdio: ["ignore", "ignore", "pipe"], env });
  let said = "";
  child.stderr.on("data", (chunk) => (said = (said + chunk).slice(-4_000)));
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) => resolve(code === 0 ? undefined : said.trim() || `its preparation ended with ${code}`));
  });
}
