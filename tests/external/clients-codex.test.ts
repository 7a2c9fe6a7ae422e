// Codex, as it is on npm, at work with the mock, by the API of responses.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orders } from "../e2e/clients/support/agent.ts";
import { openCodex } from "../e2e/clients/support/codex.ts";
import { startCluster, type Cluster, type Line } from "../support/cluster.ts";

const freely = "--dangerously-bypass-approvals-and-sandbox";
const run = ["exec", "--skip-git-repo-check", "--json"];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ workerArgs: ["--model-name", "gpt-5.5"] });
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** What it says in the end. */
function lastMessage(stdout: string): unknown {
  const events = stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Line] : []));
  const items = events.flatMap(({ item }) => (item === undefined ? [] : [item as Line]));
  return items.findLast(({ type }) => type === "agent_message")?.["text"];
}

function requestsOf(id: string): Line[] {
  return cluster.frontend
    .lines()
    .filter(({ message, x_request_id }) => message === "request completed" && x_request_id === id);
}

test("it applies a patch, runs a command, and says what that printed", async () => {
  await using codex = await openCodex(cluster.url, "patch");
  const input = orders(
    ["apply_patch", "*** Begin Patch\n*** Add File: a.txt\n+one two\n*** End Patch\n"],
    ["exec_command", { cmd: "cat a.txt; echo and three" }],
  );
  const { stdout } = await codex.run([...run, freely, "-"], { input });
  expect(await readFile(join(codex.directory, "a.txt"), "utf8")).toBe("one two\n");
  expect(lastMessage(stdout)).toContain("one two\nand three");
  expect(requestsOf("patch")).toMatchObject(
    Array.from({ length: 3 }, () => ({ status: "success", endpoint: "responses" })),
  );
});

test("it hands over an answer in the form of a schema", async () => {
  await using codex = await openCodex(cluster.url, "schema");
  const properties = { city: { type: "string" }, people: { type: "integer" } };
  const schema = { type: "object", properties, required: ["city", "people"], additionalProperties: false };
  const path = join(codex.home, "schema.json");
  await writeFile(path, JSON.stringify(schema));
  const { stdout } = await codex.run([...run, "--output-schema", path, "-"], { input: "where?" });
  expect(JSON.parse(String(lastMessage(stdout)))).toEqual({ city: "city", people: 1 });
});
