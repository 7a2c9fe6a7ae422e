// The programs of the cookbook, run as their pages say.
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { decode, encode } from "fast-png";
import { expect, test } from "vitest";
import { eventually, lineOf, postChat, startCluster, startProgram, type Program } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";

const ask = { model: "proxy", messages: [{ role: "user", content: "one two three" }] };

interface Proxied extends AsyncDisposable {
  readonly url: string;
  readonly proxy: Program;
}

/** The proxy and a frontend of its own before an upstream. */
async function startProxy(fileKv: string, upstreamUrl: string): Promise<Proxied> {
  const env = { DYN_FILE_KV: fileKv, UPSTREAM_URL: `${upstreamUrl}/v1` };
  const frontend = startProgram("dyn-frontend", ["--http-port", "0", "--response-headers", "x-ratelimit-*"], env);
  const proxy = startProgram("node", ["examples/proxy.ts"], env);
  await lineOf(frontend, "instance joined");
  return {
    url: String((await lineOf(frontend, "frontend is listening"))["url"]),
    proxy,
    async [Symbol.asyncDispose]() {
      await Promise.all([frontend, proxy].map((program) => program[Symbol.asyncDispose]()));
    },
  };
}

test("the proxy example answers with what its upstream says, errors too", async () => {
  await using upstream = await startCluster();
  await using directory = await openDirectory("dyn-examples-");
  await using proxied = await startProxy(directory.path, upstream.url);
  const { url, proxy } = proxied;

  const said = (await (await postChat(upstream.url, { ...ask, model: "mock" })).json()) as { choices: unknown };
  const passedOn = (await (await postChat(url, ask)).json()) as { choices: unknown; usage: unknown };
  expect(passedOn.choices).toEqual(said.choices);
  expect(passedOn).toMatchObject({ usage: { completion_tokens: 3 } });
  expect(await (await postChat(url, { ...ask, max_tokens: 2 })).json()).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 2 },
  });
  const streamed = await (await postChat(url, { ...ask, stream: true })).text();
  expect(streamed).toContain("data: [DONE]");

  // The lines of both worlds have one id to search for.
  const id = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
  await postChat(url, ask, { "x-request-id": id });
  const received = await eventually("the line of the proxy", () =>
    proxy.lines().find((line) => line["x_request_id"] === id),
  );
  await eventually("the line of the upstream", () =>
    upstream.frontend.lines().some((line) => line["x_request_id"] === received["request_id"]),
  );
});

test.each([429, 529])(
  "the proxy example hands on the %d of an upstream that takes no more, and when to come again",
  async (status) => {
    const overloaded = {
      workerArgs: ["--fault", "error:overloaded"],
      frontendArgs: ["--http-overload-status-code", `${status}`],
    };
    await using upstream = await startCluster(overloaded);
    await using directory = await openDirectory("dyn-examples-");
    await using proxied = await startProxy(directory.path, upstream.url);
    const answers = await Promise.all([postChat(upstream.url, { ...ask, model: "mock" }), postChat(proxied.url, ask)]);
    expect(answers.map(({ status }) => status)).toEqual([status, status]);
    const [said, handedOn] = answers.map(({ headers }) => headers.get("retry-after"));
    expect(said).toMatch(/^\d+$/);
    expect(handedOn).toBe(said);
  },
);

test("the proxy example hands on what its upstream says of its limits, with answers, streams and errors", async () => {
  await using upstream = await startLimited();
  await using directory = await openDirectory("dyn-examples-");
  await using proxied = await startProxy(directory.path, upstream.url);
  const limitsOf = async (content: string, stream = false): Promise<unknown> => {
    const { status, headers } = await postChat(proxied.url, { ...ask, stream, messages: [{ role: "user", content }] });
    const [left, other] = ["x-ratelimit-remaining-tokens", "x-other"].map((name) => headers.get(name));
    return { status, left, other };
  };
  expect(await limitsOf("hello")).toEqual({ status: 200, left: "149984", other: null });
  expect(await limitsOf("hello", true)).toEqual({ status: 200, left: "149984", other: null });
  expect(await limitsOf("refuse")).toEqual({ status: 429, left: "0", other: null });
});

/** An upstream that says how much it still takes. */
async function startLimited(): Promise<AsyncDisposable & { readonly url: string }> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const isRefused = (await text(request)).includes("refuse");
    const said = { "x-ratelimit-remaining-tokens": isRefused ? "0" : "149984", "x-other": "of the upstream" };
    if (isRefused) {
      response.writeHead(429, { ...said, "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "too many tokens" } }));
      return;
    }
    const chunk = { choices: [{ index: 0, delta: { content: "hi" }, finish_reason: "stop" }] };
    response.writeHead(200, { ...said, "content-type": "text/event-stream" });
    response.end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("the order example makes one request of two services' work", async () => {
  await using directory = await openDirectory("dyn-examples-");
  const env = { DYN_FILE_KV: directory.path, DYN_LOGGING_JSONL: "true", DYN_LOG: "info" };
  await using greeter = startProgram("node", ["examples/greeter.ts"], env);
  await using orders = startProgram("node", ["examples/orders.ts"], env);
  await Promise.all([greeter, orders].map((program) => lineOf(program, "endpoint is serving")));
  await using order = startProgram("node", ["examples/order.ts"], env);
  expect(await order.exited).toBe(0);
  const [note, id] = order.stdout().trim().split("\n");
  expect(note).toBe("hello ada, your loom is on its way");
  await eventually("the lines of both services", () =>
    [greeter, orders].every((program) =>
      program.lines().some((line) => line["message"] === "request completed" && line["request_id"] === id),
    ),
  );
  const traces = [greeter, orders].map(
    (program) => program.lines().find((line) => line["request_id"] === id)?.["trace_id"],
  );
  expect(traces[0]).toMatch(/^[\da-f]{32}$/);
  expect(traces[0]).toBe(traces[1]);
});

test("the thumbnail example takes a picture that no frame would hold, and says what is no picture", async () => {
  await using directory = await openDirectory("dyn-examples-");
  const env = { DYN_FILE_KV: directory.path };
  await using service = startProgram("node", ["examples/thumbnails.ts"], env);
  await lineOf(service, "endpoint is serving");
  const [large, small] = ["large.png", "small.png"].map((name) => join(directory.path, name)) as [string, string];
  const ask = (): Program => startProgram("node", ["examples/thumbnail.ts", large, small], env);

  // Left half red, right half blue, and stored as it is: 4000 x 3000 pixels are 36 MB.
  const [width, height] = [4_000, 3_000];
  const row = Buffer.alloc(width * 3);
  for (let x = 0; x < width; x += 1) row[x * 3 + (x < width / 2 ? 0 : 2)] = 255;
  const data = Buffer.concat(Array.from({ length: height }, () => row));
  await writeFile(large, encode({ width, height, data, channels: 3 }, { zlib: { level: 0 } }));
  expect((await readFile(large)).length).toBeGreaterThan(32 * 1024 * 1024);
  await using first = ask();
  expect(await first.exited).toBe(0);
  expect(first.stdout()).toMatch(/small\.png: 64 x 48, \d+ bytes\n$/);
  const made = decode(await readFile(small));
  const pixel = (x: number): number[] => [...made.data.subarray(x * 3, x * 3 + 3)];
  expect([made.width, made.height, pixel(0), pixel(63)]).toEqual([64, 48, [255, 0, 0], [0, 0, 255]]);

  await writeFile(large, "this is a letter, and a letter is no picture");
  await using second = ask();
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain("this is no picture");
});
