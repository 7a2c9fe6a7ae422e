// Requests no proper client sends: each gets an answer in the API's shape with both ids, and lines that say what it was.
import { once } from "node:events";
import { METHODS } from "node:http";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, startCluster, type Cluster, type Line } from "../support/cluster.ts";

let cluster: Cluster;
beforeAll(async () => (cluster = await startCluster({ workers: 0 })));
afterAll(async () => cluster[Symbol.asyncDispose]());

interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: unknown;
}

async function dial(): Promise<Socket> {
  const socket = connect(Number(new URL(cluster.url).port), "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function sendBytes(lines: readonly string[]): Promise<string> {
  const socket = await dial();
  socket.write([...lines, "connection: close", "", ""].join("\r\n"));
  return text(socket);
}

async function sendRaw(lines: readonly string[]): Promise<RawAnswer> {
  const [head = "", body = ""] = (await sendBytes(lines)).split("\r\n\r\n");
  const [first = "", ...rest] = head.split("\r\n");
  const headers = new Map(rest.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
  return { status: Number(first.split(" ")[1]), headers, body: body === "" ? undefined : JSON.parse(body) };
}

function linesOf(requestId: string | undefined): Line[] {
  return cluster.frontend.lines().filter((line) => line["request_id"] === requestId);
}

const openai = (message: string): unknown => ({
  error: {
    message: expect.stringContaining(message),
    type: "invalid_request_error",
    param: null,
    code: expect.toSatisfy(() => true),
  },
});
const anthropic = (message: string): unknown =>
  expect.objectContaining({
    type: "error",
    error: { type: "invalid_request_error", message: expect.stringContaining(message) },
  });
const host = "host: 127.0.0.1";

test.each<[string, number, readonly string[], unknown]>([
  ["a path that is no percent-encoding", 400, ["GET /v1/models/%E0%A4%A HTTP/1.1", host], openai("percent-encoding")],
  [
    "one of Anthropic's",
    400,
    ["POST /v1/messages/%E0%A4%A HTTP/1.1", host, "content-length: 0"],
    anthropic("percent-encoding"),
  ],
  ["an unknown expectation", 417, ["GET /v1/models HTTP/1.1", host, "expect: x"], openai('"x"')],
  ["one of Anthropic's", 417, ["POST /v1/messages HTTP/1.1", host, "content-length: 0", "expect: x"], anthropic('"x"')],
  ["HTTP/1.1 without Host", 400, ["POST /v1/chat/completions HTTP/1.1", "content-length: 0"], openai("Host")],
  ["one of Anthropic's", 400, ["POST /v1/messages HTTP/1.1", "content-length: 0"], anthropic("Host")],
  ["one without a route", 400, ["GET /nothing HTTP/1.1"], openai("Host")],
  [
    "a content type that is none",
    415,
    ["POST /v1/chat/completions HTTP/1.1", host, "content-type: garbage", "content-length: 0"],
    openai('"garbage"'),
  ],
  ["no HTTP at all", 400, ["hello"], openai("HTTP/1.1")],
  [
    "headers over the limit",
    431,
    ["GET /live HTTP/1.1", host, `x-large: ${"x".repeat(20_000)}`],
    openai("larger than the limit of 16384 bytes"),
  ],
  ["HTTP/2 without asking", 400, ["PRI * HTTP/2.0", "", "SM"], openai("looks like HTTP/2")],
  ["TLS", 400, ["\u0016\u0003\u0001\u0002\u0000\u0001"], openai("looks like TLS")],
  ["a path without /v1", 404, ["GET /models HTTP/1.1", host], openai("did you mean /v1/models?")],
  [
    "a path with two of them",
    404,
    ["POST /v1/v1/messages HTTP/1.1", host, "content-length: 0"],
    openai("did you mean /v1/messages?"),
  ],
  [
    "a path with a / too many",
    404,
    ["POST //v1/messages HTTP/1.1", host, "content-length: 0"],
    openai("did you mean /v1/messages?"),
  ],
  ["a path like no other", 404, ["GET /nothing HTTP/1.1", host], openai("Route not found: GET /nothing")],
])("%s is a %i in the API's shape with both ids and a line", async (_name, status, lines, body) => {
  const answer = await sendRaw(lines);
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.body).toEqual(body);
  const id = answer.headers.get("request-id");
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(answer.headers.get("x-request-id")).toBe(id);
  await eventually("its line", () => linesOf(id).some((line) => line["status"] === status));
});

test("HTTP/1.0 needs no Host", async () => {
  expect((await sendRaw(["GET /live HTTP/1.0"])).status).toBe(200);
});

test("a client that expects 100-continue is asked for its body only if that is wanted", async () => {
  const expecting = (path: string, length: number): string[] => [
    `POST ${path} HTTP/1.1`,
    host,
    "content-type: application/json",
    "expect: 100-continue",
    `content-length: ${length}`,
  ];
  const asked = await dial();
  asked.write([...expecting("/v1/chat/completions", 2), "", ""].join("\r\n"));
  let got = "";
  asked.on("data", (chunk: Buffer) => (got += chunk.toString()));
  await eventually("the word", () => got === "HTTP/1.1 100 Continue\r\n\r\n");
  asked.write("{}");
  await eventually("the answer", () => got.includes("model is required"));
  expect(got).not.toMatch(/^connection: close/im);
  asked.destroy();
  for (const [path, length, status] of [
    ["/live", 2, 405],
    ["/nothing", 2, 404],
    ["/v1/chat/completions", 10_000_000_000, 413],
  ] as const) {
    expect(await sendBytes(expecting(path, length))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});

test("HEAD is served where GET is, without a body", async () => {
  for (const path of ["/", "/v1/models", "/health", "/live", "/metrics"]) {
    const [head = "", body] = (await sendBytes([`HEAD ${path} HTTP/1.1`, host])).split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 200 .*content-length: [1-9]/s);
    expect(body).toBe("");
  }
  expect((await sendRaw(["HEAD /v1/models/nobody HTTP/1.1", host])).status).toBe(404);
  const refused = await sendRaw(["DELETE /v1/models HTTP/1.1", host]);
  expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  expect((await sendRaw(["HEAD /v1/messages HTTP/1.1", host])).status).toBe(405);
});

const otherMethods = METHODS.filter((method) => !["GET", "HEAD", "CONNECT"].includes(method));

test.each(otherMethods)("%s is a 405 where the path is served under another method, else a 404", async (method) => {
  const allowed = async (path: string): Promise<unknown[]> => {
    const { status, headers } = await sendRaw([`${method} ${path} HTTP/1.1`, host, "content-length: 0"]);
    return [status, headers.get("allow")];
  };
  expect(await allowed("/v1/models")).toEqual([405, "GET, HEAD"]);
  expect(await allowed("/nothing")).toEqual([404, undefined]);
});

test("a method that nobody knows is not worth another try", async () => {
  const { status, headers } = await sendRaw(["FROB /v1/models HTTP/1.1", host]);
  expect([status, headers.get("x-should-retry")]).toEqual([501, "false"]);
  const coded = await sendRaw(["POST /nothing HTTP/1.1", host, "transfer-encoding: gzip, chunked"]);
  expect([coded.status, coded.headers.get("x-should-retry")]).toEqual([501, "false"]);
});

test("a browser's visit is no error: the root says what this is, without a key, and there is no icon", async () => {
  const before = cluster.frontend.lines().length;
  const shown = await sendRaw(["GET / HTTP/1.1", host]);
  expect([shown.status, shown.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(shown.body).toMatchObject({
    name: "dyn-frontend",
    routes: expect.arrayContaining(["POST /v1/chat/completions", "GET /v1/models/{id}"]),
  });
  expect((await sendRaw(["HEAD / HTTP/1.1", host])).status).toBe(200);
  const icon = await sendRaw(["GET /favicon.ico HTTP/1.1", host]);
  expect([icon.status, icon.headers.get("cache-control")]).toEqual([204, "max-age=86400"]);
  const posted = await sendRaw(["POST / HTTP/1.1", host, "content-length: 0"]);
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  const asked = await sendRaw(["POST /v1/chat/completions HTTP/1.1", host, "content-length: 0"]);
  await eventually("the line of the last", () => linesOf(asked.headers.get("request-id")).length > 0);
  const lines = cluster.frontend.lines().slice(before);
  expect(lines.filter(({ method, uri }) => method !== "POST" && ["/", "/favicon.ico"].includes(String(uri)))).toEqual(
    [],
  );
});

test("a client that breaks its connection in the middle of the headers is no malformed request", async () => {
  const before = cluster.frontend.lines().length;
  const socket = await dial();
  socket.write("GET /live HTTP/1.1\r\nx-half");
  await eventually("the bytes being out", () => socket.writableLength === 0);
  socket.resetAndDestroy();
  const later = await sendRaw(["POST /v1/chat/completions HTTP/1.1", host, "content-length: 0"]);
  await eventually("a later line", () => linesOf(later.headers.get("request-id")).length > 0);
  expect(
    cluster.frontend
      .lines()
      .slice(before)
      .filter(({ message }) => message === "malformed HTTP refused"),
  ).toEqual([]);
});

test("a client that leaves in the middle of its body is cancelled, at INFO", async () => {
  const requestId = "7f9c24e8-3b12-4fef-91e0-4b8a2f0f8a10";
  const socket = await dial();
  const head = [
    "POST /v1/chat/completions HTTP/1.1",
    host,
    `request-id: ${requestId}`,
    "content-type: application/json",
    "content-length: 1000",
  ];
  socket.write([...head, "", '{"model":'].join("\r\n"));
  await eventually("the server having read it", () => socket.bytesWritten > 100 && socket.writableLength === 0);
  socket.destroy();
  const completed = await eventually("completion", () =>
    linesOf(requestId).find(({ message }) => message === "request completed"),
  );
  expect(completed).toMatchObject({
    level: "INFO",
    status: "cancelled",
    error_type: "cancelled",
    error: "the client closed the connection",
  });
});
