// --expose from the outside: the greeter of the examples behind a path of the frontend, each a process of its own.
import { describe, expect, test } from "vitest";
import { eventually, lineOf, startProgram, type Line, type Program } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";

const greeter = "dyn://demo.greeter.generate";

async function post(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const body = JSON.stringify({ name: "world" });
  return fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
}

const completedOf = (program: Program): Promise<Line> =>
  eventually("request completed", () => program.lines().find(({ message }) => message === "request completed"));

test("the greeter answers over HTTP, and each side has its lines of the request", async () => {
  await using directory = await openDirectory("dyn-expose-");
  const env = { DYN_FILE_KV: directory.path, DYN_EXPOSE: `/hello=${greeter}` };
  const flags = ["--http-port", "0", "--expose", `/v1/greet=${greeter}`, "--expose", `/v1/nobody=dyn://demo.x.y`];
  await using frontend = startProgram("dyn-frontend", flags, env);
  const url = String((await lineOf(frontend, "frontend is listening"))["url"]);
  const early = await post(`${url}/v1/greet`);
  expect([early.status, await early.json()]).toMatchObject([
    503,
    { error: { message: expect.stringContaining(greeter) } },
  ]);

  await using worker = startProgram("node", ["examples/greeter.ts"], { DYN_FILE_KV: directory.path });
  await lineOf(frontend, "instance joined");
  const whole = await post(`${url}/v1/greet`, { "x-request-id": "mine" });
  expect([whole.status, await whole.text()]).toEqual([200, '[{"word":"hello"},{"word":"world"}]']);
  const streamed = await post(`${url}/v1/greet`, { accept: "text/event-stream" });
  expect(await streamed.text()).toBe(
    'data: {"word":"hello"}\n\ndata: {"word":"world"}\n\nevent: end\ndata: {"items":2}\n\n',
  );
  expect((await post(`${url}/v1/nobody`)).status).toBe(503); // the flag was given twice
  expect((await post(`${url}/hello`)).status).toBe(404); // and wins over the variable
  expect((await fetch(`${url}/v1/greet`)).status).toBe(405);

  const line = await eventually("the request's last line", () =>
    frontend.lines().find(({ message, x_request_id: id }) => message === "request completed" && id === "mine"),
  );
  expect(line).toMatchObject({ endpoint: "/v1/greet", model: greeter, request_type: "unary", status: "success" });
  expect((await completedOf(worker))["request_id"]).toBe(line["request_id"]);
  frontend.kill("SIGTERM");
  expect(await frontend.exited).toBe(0);
});

describe("a setting that cannot be is refused in one line", () => {
  test.each([
    [`/v1/models/x=${greeter}`, "/v1/models/x is a path of the frontend's own"],
    [`/v1/{name}=${greeter}`, 'the path "/v1/{name}" must be whole'],
    ["/v1/greet=http://127.0.0.1", "is no endpoint: expected dyn://namespace.component.endpoint"],
  ])("%s", async (given, words) => {
    await using directory = await openDirectory("dyn-expose-");
    await using frontend = startProgram("dyn-frontend", ["--http-port", "0", "--expose", given], {
      DYN_FILE_KV: directory.path,
    });
    expect(await frontend.exited).toBe(1);
    expect(frontend.stderr()).toContain(words);
    expect(frontend.stderr().trim().split("\n")).toHaveLength(1);
  });
});
