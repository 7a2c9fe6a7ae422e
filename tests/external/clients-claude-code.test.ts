// Claude Code, as it is on npm, at work with the mock: what it is told to call it calls, on files that are there afterwards.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encode } from "fast-png";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClaude } from "../e2e/clients/support/claude-code.ts";
import { orders, type Agent } from "../e2e/clients/support/agent.ts";
import { startCluster, type Cluster, type Line } from "../support/cluster.ts";

const freely = "--dangerously-skip-permissions";

let cluster: Cluster;
let claude: Agent;
beforeAll(async () => {
  cluster = await startCluster();
  claude = await openClaude(cluster.url);
});
afterAll(() => Promise.all([cluster, claude].map((each) => each[Symbol.asyncDispose]())));

const pathOf = (name: string): string => join(claude.directory, name);

/** The requests of a run, by the id that it gave them all. */
function requestsOf(run: string, { frontend }: Cluster = cluster): Line[] {
  return frontend
    .lines()
    .filter(({ message, x_request_id }) => message === "request completed" && x_request_id === run);
}

function named(run: string): { env: Record<string, string> } {
  return { env: { ANTHROPIC_CUSTOM_HEADERS: `x-request-id: ${run}` } };
}

test("it writes, reads and edits a file, runs a command, and says what that printed", async () => {
  const path = pathOf("a.txt");
  const input = orders(
    ["Write", { file_path: path, content: "one two" }],
    ["Read", { file_path: path }],
    ["Edit", { file_path: path, old_string: "two", new_string: "three" }],
    ["Bash", { command: "cat a.txt && echo and four" }],
  );
  const { stdout } = await claude.run(["-p", freely], { input, ...named("files") });
  expect(await readFile(path, "utf8")).toBe("one three");
  expect(stdout.trim()).toBe("one threeand four");
  expect(requestsOf("files")).toMatchObject(
    Array.from({ length: 5 }, () => ({ status: "success", request_type: "stream", attempts: 1 })),
  );
});

test("it shows a picture to the model", async () => {
  const data = encode({ width: 4, height: 4, data: new Uint8Array(48), channels: 3 });
  await writeFile(pathOf("p.png"), data);
  const { stdout } = await claude.run(["-p", freely], { input: orders(["Read", { file_path: pathOf("p.png") }]) });
  expect(stdout.trim()).toBe("[image]");
});

test("it hands over an answer in the form of a schema", async () => {
  const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const { stdout } = await claude.run(["-p", "--output-format", "json", "--json-schema", JSON.stringify(schema)], {
    input: orders(["StructuredOutput", { city: "Oslo" }]),
  });
  expect(JSON.parse(stdout)).toMatchObject({ is_error: false, structured_output: { city: "Oslo" } });
});

test("it shows what the model thinks, and gives it back with the calls that followed", async () => {
  await using thinker = await startCluster({ workerArgs: ["--reasoning-tokens", "3"] });
  await using agent = await openClaude(thinker.url);
  const { stdout } = await agent.run(["-p", freely, "--output-format", "stream-json", "--verbose"], {
    input: orders(["Bash", { command: "echo one" }]),
    ...named("thinking"),
  });
  expect(stdout).toContain('"type":"thinking"');
  expect(stdout).toContain('"result":"one"');
  expect(requestsOf("thinking", thinker)).toMatchObject([
    { status: "success", reasoning_tokens: 3 },
    { status: "success", reasoning_tokens: 3 },
  ]);
});

test("it notices nothing of a worker that dies in the middle of a call", async () => {
  await using two = await startCluster();
  await two.addWorker("--fault", "crash@2"); // by turns, it gets one of the three
  await using agent = await openClaude(two.url);
  const path = join(agent.directory, "b.txt");
  const { stdout } = await agent.run(["-p", freely], {
    input: orders(["Write", { file_path: path, content: "one two" }], ["Bash", { command: "cat b.txt" }]),
    ...named("failover"),
  });
  expect(stdout.trim()).toBe("one two");
  const attempts = requestsOf("failover", two).map((request) => Number(request["attempts"]));
  expect(attempts).toHaveLength(3);
  expect(Math.max(...attempts)).toBe(2); // a later one may also have tried the worker that was gone
});

test("it waits as it is told and asks again while the model is overloaded, or has had enough of it", async () => {
  const fixtures = [
    { times: 1, response: { error: { message: "slow down" }, status: 429, retryAfter: 1 } },
    { times: 1, response: { error: { message: "too much" }, status: 529 } },
  ];
  const script = join(claude.home, "script.json");
  await writeFile(script, JSON.stringify({ fixtures }));
  await using busy = await startCluster({ workerArgs: ["--script", script] });
  await using agent = await openClaude(busy.url);
  const { stdout } = await agent.run(["-p"], { input: "hello big world", ...named("overload") });
  expect(stdout).toContain("hello big world");
  expect(requestsOf("overload", busy)).toMatchObject([
    { status: "error", error_type: "overload" },
    { status: "error", error_type: "overload" },
    { status: "success" },
  ]);
});
