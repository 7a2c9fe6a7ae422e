// opencode, as it is on npm, at work with the mock, by each API that it speaks.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openOpencode, type Provider } from "../e2e/clients/support/opencode.ts";
import { orders } from "../e2e/clients/support/agent.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

const providers: readonly Provider[] = ["@ai-sdk/openai-compatible", "@ai-sdk/openai", "@ai-sdk/anthropic"];

test.each(providers)("by %s it writes and reads a file, runs a command, and says what that printed", async (npm) => {
  await using agent = await openOpencode(cluster.url, npm, npm);
  const filePath = join(agent.directory, "a.txt");
  const input = orders(
    ["write", { filePath, content: "one two" }],
    ["read", { filePath }],
    ["bash", { command: "cat a.txt && echo and three", description: "see" }],
  );
  const { stdout } = await agent.run(["run"], { input }); // of arguments it would quote the quotes
  expect(await readFile(filePath, "utf8")).toBe("one two");
  expect(stdout).toContain("one twoand three");
  const requests = cluster.frontend
    .lines()
    .filter(({ message, x_request_id }) => message === "request completed" && x_request_id === npm);
  expect(requests).toMatchObject(Array.from({ length: 5 }, () => ({ status: "success" }))); // one of them for a title
});
