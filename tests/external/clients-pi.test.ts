// pi, as it is on npm, at work with the mock, by each API that it speaks.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orders } from "../e2e/clients/support/agent.ts";
import { openPi, type PiApi } from "../e2e/clients/support/pi.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ workerArgs: ["--reasoning-tokens", "3"] });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const apis: readonly PiApi[] = ["openai-completions", "openai-responses", "anthropic-messages"];

test.each(apis)("by %s it thinks, writes and reads a file, and runs a command", async (api) => {
  await using pi = await openPi(cluster.url, api);
  const input = orders(
    ["write", { path: "a.txt", content: "one two" }],
    ["read", { path: "a.txt" }],
    ["bash", { command: "cat a.txt; echo and three" }],
  );
  const { stdout } = await pi.run(["--provider", "dyn", "--model", "mock", "--thinking", "high", "-p"], { input });
  expect(await readFile(join(pi.directory, "a.txt"), "utf8")).toBe("one two");
  expect(stdout.trim()).toBe("one twoand three");
  const requests = cluster.frontend
    .lines()
    .filter(({ message, x_request_id }) => message === "request completed" && x_request_id === api);
  const wanted = { status: "success", reasoning_tokens: 3 };
  expect(requests).toMatchObject([wanted, wanted, wanted, wanted]);
});
