// The script of a mock worker as a program: from a file, and over its system server while it runs.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chat,
  eventually,
  postChat,
  startCluster,
  startProgram,
  systemUrl,
  type Cluster,
  type Program,
} from "../support/cluster.ts";

const yaml = `
# yaml-language-server: $schema=script.schema.json
fixtures:
  - match: { userMessage: { regex: 'capital of (\\w+)' } }
    response: { content: Paris }
  - match: { headers: { x-tenant: blocked } }
    response: { error: { message: out of tokens }, status: 429, retryAfter: 30 }
`;
const put = { fixtures: [{ response: { content: "replaced" } }] };
let directory: string;
let cluster: Cluster;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-script-"));
  const file = join(directory, "script.yaml");
  await writeFile(file, yaml);
  cluster = await startCluster({
    workerArgs: ["--script", file, "--system-port", "0"],
    frontendArgs: ["--forward-headers", "x-tenant"],
  });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function answerTo(content: string): Promise<unknown> {
  const response = await postChat(cluster.url, chat(content));
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]?.message.content;
}

async function order(method: string, body?: string): Promise<unknown> {
  const response = await fetch(`${systemUrl(cluster.workers[0])}/script`, {
    method,
    ...(body !== undefined && { body }),
  });
  return [response.status, await response.json()];
}

test("a file in YAML says what is answered, by words and by header", async () => {
  expect(await answerTo("What is the capital of France?")).toBe("Paris");
  expect(await answerTo("hello")).toBe("hello");
  const refused = await postChat(cluster.url, chat("hello"), { "x-tenant": "blocked" });
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "30"]);
  expect(await refused.json()).toMatchObject({ error: { message: "out of tokens", code: "rate_limit_exceeded" } });
});

test("it is shown, replaced and ended over the system server", async () => {
  const [status, shown] = (await order("GET")) as [number, { fixtures: unknown[] }];
  expect([status, shown.fixtures.length]).toEqual([200, 2]);
  expect(await order("PUT", JSON.stringify(put))).toEqual([200, put]);
  expect(await answerTo("capital of France")).toBe("replaced");
  expect(await order("PUT", "fixtures: [{ response: { contnt: x } }]")).toEqual([
    400,
    { error: "fixtures[0].response.contnt is no field of a script; did you mean content?" },
  ]);
  expect(await answerTo("x")).toBe("replaced");
  expect(await order("DELETE")).toEqual([200, { fixtures: [] }]);
  expect(await answerTo("x")).toBe("x");
  const lines = await eventually("two lines", () => {
    const found = cluster.workers[0]?.lines().filter(({ message }) => message === "script replaced");
    return found?.length === 2 && found;
  });
  expect(lines.map(({ rules }) => rules)).toEqual([1, 0]);
});

test("what was asked is shown over the system server, and forgotten", async () => {
  const requests = `${systemUrl(cluster.workers[0])}/requests`;
  await fetch(requests, { method: "DELETE" });
  await postChat(cluster.url, chat("look at me", { seed: 2 ** 53 }));
  const shown = await eventually("the request", async () => {
    const { requests: list } = (await (await fetch(requests)).json()) as { requests: { outcome: string }[] };
    return list[0]?.outcome === "completed" && list;
  });
  expect(shown).toMatchObject([
    {
      request: { messages: [{ role: "user", text: "look at me" }], sampling: { seed: "9007199254740992" } },
      answer: { text: "look at me", tokens: 3 },
    },
  ]);
  expect(await (await fetch(requests, { method: "DELETE" })).json()).toEqual({ requests: [] });
});

test("what a server says is recorded, and said again without it", async () => {
  const file = join(directory, "recorded.json");
  const record = ["--script", file, "--record", `${cluster.url}/v1`, "--record-model", "mock"];
  const ask = async (url: string): Promise<unknown> => {
    const body = { model: "copy", messages: [{ role: "user", content: "say it again" }] };
    const { choices, usage } = (await (await postChat(url, body)).json()) as { choices: unknown; usage: unknown };
    return { choices, usage };
  };
  const expected = [{ message: { content: "say it again" }, finish_reason: "stop" }];
  await using recording = await startMock("--model-name", "copy", ...record);
  const first = await ask(recording.url);
  expect(first).toMatchObject({ choices: expected });
  recording.program.kill("SIGTERM");
  expect(await recording.program.exited).toBe(0);
  await using replaying = await startMock("--model-name", "copy", "--script", file);
  expect(await ask(replaying.url)).toEqual(first);
  const { fixtures } = JSON.parse(await readFile(file, "utf8")) as { fixtures: object[] };
  expect(fixtures).toMatchObject([{ match: { userMessage: "say it again" }, recordedTimings: {} }]);
});

interface Mock extends AsyncDisposable {
  readonly program: Program;
  readonly url: string;
}

/** A mock worker with a frontend of its own. */
async function startMock(...args: string[]): Promise<Mock> {
  const program = startProgram("dyn-mock-worker", ["--http-port", "0", ...args]);
  const url = await eventually(`its URL (${program.stderr()})`, () => /^http\S+/.exec(program.stdout())?.[0]);
  return { program, url, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

describe("the command ends with a sentence", () => {
  test.each([
    ["a file that is not there", "nowhere.json", undefined, /nowhere\.json: ENOENT/],
    [
      "a field that is none",
      "a.json",
      '{"fixtures":[{"match":{"modle":"m"}}]}',
      /a\.json: fixtures\[0\]\.match\.modle is no field of a script; did you mean model\?/,
    ],
    ["what is no script", "b.yaml", "fixtures: [", /b\.yaml: a script must be JSON or YAML: .*line 1/],
  ])("of %s", async (_name, name, text, expected) => {
    const file = join(directory, name);
    if (text !== undefined) await writeFile(file, text);
    await using program = startProgram("dyn-mock-worker", ["--script", file], { DYN_FILE_KV: directory });
    expect(await program.exited).toBe(1);
    expect(program.stderr()).toMatch(expected);
  });
});
