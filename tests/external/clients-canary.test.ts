// CompatCanary, which judges servers that speak OpenAI's API.
import { join } from "node:path";
import { startFrontend } from "@dyn/mock-worker/testing";
import { expect, test } from "vitest";
import { installNode } from "../e2e/clients/support/install.ts";
import { runClient } from "../e2e/clients/support/run.ts";
import { root } from "../support/cluster.ts";

interface Report {
  readonly results: readonly { readonly id: string; readonly status: string }[];
}

const probes = ["models.list", "chat.basic", "chat.streaming", "chat.tool_call", "chat.structured_output"];
const responses = ["responses.basic", "responses.streaming"];

test("CompatCanary is content with all it looks at", async () => {
  const home = await installNode(join(root, "tests/e2e/clients/canary"));
  await using server = await startFrontend();
  const program = join(home, "node_modules/compatcanary/src/cli.js");
  const asked = ["--base-url", server.baseUrl, "--model", "mock", "--api-key", "none"];
  const report = ["--format", "json", "--fail-on", "never"];
  const { stdout } = await runClient(process.execPath, [program, "scan", ...asked, ...report]);
  const { results } = JSON.parse(stdout) as Report;
  expect(results.map(({ id, status }) => [id, status])).toEqual([...probes, ...responses].map((id) => [id, "pass"]));
});
