// Fields that an API does not read: they reach the engine as they came, or are refused by name.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { messageFields } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import type { FieldNames } from "../../packages/frontend/src/inference/extra.ts";
import { chatFields } from "../../packages/frontend/src/openai/chat-schema.ts";
import { responseFields } from "../../packages/frontend/src/openai/responses/request.ts";
import { completionFields } from "../../packages/frontend/src/openai/completions-schema.ts";
import { root } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtimes: Runtime[];
const urls = { pass: "", refuse: "" };
let closes: (() => Promise<void>)[];
let asked: ModelRequest[];

const engine: Engine = (request) => {
  asked.push(request);
  const call = { index: 0, name: "f", arguments: request.messages.at(-1)?.text ?? "" };
  return Promise.resolve(request.tools ? { text: "", toolCalls: [call] } : { text: "hello" });
};

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [first, second, third] = runtimes as [Runtime, Runtime, Runtime];
  await serveModel(first, { model: "m" }, engine);
  const passing = await createFrontend({ runtime: second, httpPort: 0 });
  const refusing = await createFrontend({ runtime: third, httpPort: 0, httpUnknownFields: "refuse" });
  [urls.pass, urls.refuse] = [passing.url, refusing.url];
  closes = [passing, refusing].map((frontend) => () => frontend.close());
});
afterAll(async () => {
  for (const close of closes) await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});
beforeEach(() => {
  asked = [];
});

const message = '{"role":"user","content":"hi"}';
const bodies: Readonly<Record<string, string>> = {
  "/v1/chat/completions": `"model":"m","messages":[${message}]`,
  "/v1/completions": `"model":"m","prompt":"hi"`,
  "/v1/messages": `"model":"m","max_tokens":9,"messages":[${message}]`,
};
const paths = Object.keys(bodies);
const responses = `"model":"m","input":"hi"`;

/** `more` are members of the body, as JSON. */
async function post(path: string, more: string, mode: keyof typeof urls = "pass"): Promise<[number, unknown]> {
  const headers = { "content-type": "application/json" };
  const body = `{${path === "/v1/responses" ? responses : (bodies[path] ?? bodies["/v1/messages"])}${more}}`;
  const response = await fetch(`${urls[mode]}${path}`, { method: "POST", headers, body });
  return [response.status, await response.json()];
}

describe.each(paths)("%s", (path) => {
  test("hands fields that nobody knows to the engine, exactly as they came", async () => {
    const extra =
      '{"nvext":{"annotations":["a"],"id":12345678901234567890},"top_k_min":1e400,"guided_regex":"[ab]+","a b":null}';
    expect(await post(path, `,${extra.slice(1, -1)}`)).toMatchObject([200, {}]);
    expect(JSON.stringify(asked[0]?.extra)).toBe(extra);
  });

  test("hands on none where there are none", async () => {
    await post(path, "");
    expect(asked.map((request) => Object.keys(request))).toEqual([expect.not.arrayContaining(["extra"])]);
  });

  test("takes 64 of them, and up to 1 MiB", async () => {
    const many = Array.from({ length: 64 }, (_, index) => `,"x${index}":${index}`).join("");
    expect(await post(path, many)).toMatchObject([200, {}]);
    expect(Object.keys(asked[0]?.extra ?? {})).toHaveLength(64);
    expect(await post(path, `${many},"y":0`)).toMatchObject([
      400,
      { error: { message: "y is the 65th field that is not known, at most 64 are handed to the engine" } },
    ]);
    expect(await post(path, `,"small":1,"large":"${"x".repeat(1_048_576)}"`)).toMatchObject([
      400,
      {
        error: {
          message:
            "large is too large: fields that are not known are handed to the engine, up to 1048576 bytes together",
        },
      },
    ]);
    expect(asked).toHaveLength(1);
  });

  test("refuses them by name where the operator wants it, with the field that may have been meant", async () => {
    const [status, body] = await post(path, ',"max_token":5', "refuse");
    expect([status, body]).toMatchObject([
      400,
      { error: { message: "max_token is not known; did you mean max_tokens?" } },
    ]);
    expect(await post(path, ',"zzzzzzzz":5', "refuse")).toMatchObject([
      400,
      { error: { message: "zzzzzzzz is not known" } },
    ]);
    expect(asked).toEqual([]);
    expect(
      await post(
        path,
        ',"user":"me","max_tokens":5'.replace('"user"', path === "/v1/messages" ? '"metadata"' : '"user"'),
        "refuse",
      ),
    ).toMatchObject([200, {}]);
    expect(asked).toMatchObject([{ maxTokens: 5, extra: { [path === "/v1/messages" ? "metadata" : "user"]: "me" } }]);
  });
});

test("/v1/responses hands them on, too, and refuses a slip of the pen", async () => {
  const extra = '{"nvext":{"id":12345678901234567890},"include":["a"],"client_metadata":{}}';
  for (const mode of ["pass", "refuse"] as const)
    expect(await post("/v1/responses", `,${extra.slice(1, -1)}`, mode)).toMatchObject([200, {}]);
  expect(asked.map((request) => JSON.stringify(request.extra))).toEqual([extra, extra]);
  expect(await post("/v1/responses", ',"max_output_token":5', "refuse")).toMatchObject([
    400,
    { error: { message: "max_output_token is not known; did you mean max_output_tokens?" } },
  ]);
});

test.each([
  ["/v1/responses", "messages", "input"],
  ["/v1/responses", "response_format", "text.format"],
  ["/v1/responses", "max_tokens", "max_output_tokens"],
  ["/v1/chat/completions", "input", "messages"],
  ["/v1/chat/completions", "max_output_tokens", "max_completion_tokens"],
])("%s names what it has for %s of another API: %s", async (path, name, here) => {
  expect(await post(path, `,"${name}":null`, "refuse")).toMatchObject([
    400,
    { error: { message: `${name} is not known; did you mean ${here}?`, param: name } },
  ]);
});

test("a refusal has its place in OpenAI's error", async () => {
  expect(await post("/v1/chat/completions", ',"mesages":[]', "refuse")).toMatchObject([
    400,
    { error: { param: "mesages", code: "unknown_parameter", type: "invalid_request_error" } },
  ]);
});

test("a refused name is shown as far as it is one", async () => {
  const [status, body] = await post("/v1/chat/completions", `,"${"x".repeat(9_000)}":1`, "refuse");
  expect(status).toBe(400);
  expect(JSON.stringify(body).length).toBeLessThan(1_000);
});

test("a token count is refused a typo, too", async () => {
  expect(await post("/v1/messages/count_tokens", ',"sytem":"x"', "refuse")).toMatchObject([
    400,
    { error: { message: "sytem is not known; did you mean system?" } },
  ]);
  expect(await post("/v1/messages/count_tokens", ',"sytem":"x"')).toMatchObject([200, { input_tokens: 1 }]);
});

test("a field that sets the prototype of whoever copies it is a field like any other", async () => {
  await post("/v1/chat/completions", ',"__proto__":{"isAdmin":true}');
  const [request] = asked;
  expect(Object.keys(request?.extra ?? {})).toEqual(["__proto__"]);
  expect("isAdmin" in (request?.extra ?? {})).toBe(false);
});

/** Names of an interface in a client's types. */
function membersOf(file: string, name: string): string[] {
  const text = readFileSync(join(root, "node_modules", file), "utf8");
  const [, body = ""] = new RegExp(String.raw`^export interface ${name} \{\n(.*?)^\}`, "ms").exec(text) ?? [];
  return [...body.matchAll(/^ {4}(\w+)\??:/gm)].map(([, member = ""]) => member);
}

test.each<[string, string, FieldNames]>([
  ["openai/resources/chat/completions/completions.d.ts", "ChatCompletionCreateParamsBase", chatFields],
  ["openai/resources/responses/responses.d.ts", "ResponseCreateParamsBase", responseFields],
  ["openai/resources/completions.d.ts", "CompletionCreateParamsBase", completionFields],
  ["@anthropic-ai/sdk/resources/messages/messages.d.ts", "MessageCreateParamsBase", messageFields],
  ["@anthropic-ai/sdk/resources/beta/messages/messages.d.ts", "MessageCreateParamsBase", messageFields],
])("every field of %s, %s is known", (file, name, { read, others }) => {
  const members = membersOf(file, name);
  expect(members.length).toBeGreaterThan(10);
  expect(members.filter((member) => !read.has(member) && !others.includes(member))).toEqual([]);
});

describe("numbers of a call's input", () => {
  const input = '{"id":12345678901234567890,"small":0.10000000000000000555,"huge":1e400,"n":7}';
  const history = `"messages":[${message},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":${input}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}]`;

  test("reach the engine with every digit in later turns", async () => {
    expect(await post("/v1/messages", `,${history}`)).toMatchObject([200, {}]);
    expect(asked[0]?.messages[1]?.toolCalls).toMatchObject([{ id: "toolu_1", arguments: input }]);
  });

  test.each([
    [input, input],
    ["12345678901234567890", "{}"],
    ['{"a":', "{}"],
    [`{"a":${"[".repeat(99)}${"]".repeat(99)}}`, `{"a":${"[".repeat(99)}${"]".repeat(99)}}`],
  ])("are in an answer of one piece as the engine wrote them: %s", async (text, shown) => {
    const body = `{"model":"m","max_tokens":9,"tools":[{"name":"f","input_schema":{}}],"messages":[{"role":"user","content":${JSON.stringify(text)}}]}`;
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${urls.pass}/v1/messages`, { method: "POST", headers, body });
    expect(await response.text()).toContain(`"name":"f","input":${shown}}]`);
  });

  test("are as they were where none is long", async () => {
    await post("/v1/messages", `,${history.replace(input, '{"n": 7, "text":"12345678901234567890"}')}`);
    expect(asked[0]?.messages[1]?.toolCalls).toMatchObject([{ arguments: '{"n":7,"text":"12345678901234567890"}' }]);
  });
});
