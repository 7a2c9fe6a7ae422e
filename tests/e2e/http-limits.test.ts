// The frontend's HTTP port against clients that are malformed, slow, greedy or asleep.
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, type Authority } from "../support/certificates.ts";
import { chat, eventually, lineOf, postChat, startCluster, type Cluster, type Line } from "../support/cluster.ts";
import { dial as dialPort, type Client } from "../support/http-client.ts";
import { refused, refusedAtOnce } from "../runtime/http/faults.ts";
import { served } from "../runtime/http/harmless.ts";

function dial(url: string): Client {
  return dialPort(Number(new URL(url).port));
}

function isAbout(path: string): (line: Line) => boolean {
  return ({ uri }) => uri === path;
}

describe("malformed requests", () => {
  let cluster: Cluster;
  beforeAll(async () => (cluster = await startCluster({ workers: 0, env: { DYN_LOG_REFUSALS: "1000" } })));
  afterAll(async () => cluster[Symbol.asyncDispose]());

  test.each([...refused, ...refusedAtOnce])(
    "$name: $status with both ids in the shape of an API, and nothing behind it is handled",
    async ({ bytes, status }) => {
      using client = dial(cluster.url);
      client.socket.write(Buffer.from(bytes, "latin1"));
      await eventually("the end", client.isClosed);
      expect(client.statuses()).toEqual([status]);
      const [head = "", body = ""] = client.text().split("\r\n\r\n");
      expect(head).toMatch(/^x-request-id: [0-9a-f-]{36}/m);
      expect(head).toMatch(/^connection: close/im);
      expect(JSON.parse(body)).toMatchObject({ error: { type: "invalid_request_error", message: expect.any(String) } });
      const id = /^request-id: (.*)/m.exec(head)?.[1];
      const isLine = (line: Line): boolean =>
        line["request_id"] === id &&
        line["message"] === "malformed HTTP refused" &&
        line["status"] === status &&
        line["remote"] === "127.0.0.1";
      await eventually("its line", () => cluster.frontend.lines().some(isLine));
      expect(cluster.frontend.lines().filter(isAbout("/smuggled"))).toEqual([]);
    },
  );

  test("trailers are no headers", async () => {
    using client = dial(cluster.url);
    const head =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    const trailers =
      "0\r\nContent-Type: text/plain\r\nx-request-id: from-a-trailer\r\nrequest-id: 7f9c24e8-3b12-4fef-91e0-4b8a2f0f8a10\r\n\r\n";
    client.socket.write(`${head}2\r\n{}\r\n${trailers}`);
    await eventually("an answer", () => client.text().includes("model is required"));
    expect(client.text()).not.toContain("from-a-trailer");
    expect(client.text()).not.toContain("7f9c24e8");
  });
});

describe("odd requests", () => {
  let cluster: Cluster;
  beforeAll(async () => (cluster = await startCluster({ workers: 0 })));
  afterAll(async () => cluster[Symbol.asyncDispose]());

  test.each(served)("$name is no fault: answered, in order", async ({ bytes, handled }) => {
    const before = cluster.frontend.lines().length;
    const following = (): Line[] =>
      cluster.frontend
        .lines()
        .slice(before)
        .filter((line) => isAbout("/smuggled")(line) && line["message"] === "request completed");
    using client = dial(cluster.url);
    client.socket.write(Buffer.from(bytes, "latin1"));
    await eventually("the answers", () => client.statuses().length === handled.length);
    const expected = handled.filter((each) => each.startsWith("GET /smuggled")).length;
    await eventually("their lines", () => following().length >= expected);
    expect(following()).toHaveLength(expected);
  });
});

// Long enough for a whole request to be read in time by a process that waits for a processor.
const short = [
  "--http-header-timeout-ms",
  "1000",
  "--http-receive-timeout-ms",
  "1500",
  "--http-keep-alive-timeout-ms",
  "1000",
];

// Each waits for a limit: all at once.
describe.concurrent("slow clients", () => {
  let cluster: Cluster;
  beforeAll(async () => (cluster = await startCluster({ frontendArgs: short, workerArgs: ["--itl-ms", "20"] })));
  afterAll(async () => cluster[Symbol.asyncDispose]());

  const head = (path: string, id: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nx-request-id: ${id}\r\nContent-Length: 100000\r\n\r\n`;

  test.each<[string, readonly number[], string, string]>([
    ["says nothing", [408], "", ""],
    ["drips its headers", [408], "GET /live HTTP/1.1\r\nx-a: ", "x"],
    ["is idle after its request", [200], "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", ""],
    ["sends empty lines after its request", [200], "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", "\r\n"],
    [
      "drips the body of a request that is refused before it",
      [404],
      "POST /no HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
      "x",
    ],
  ])("one that %s is answered %j and closed, and others are served beside it", async (_name, statuses, first, more) => {
    using client = dial(cluster.url);
    client.socket.write(first);
    const timer = setInterval(() => client.socket.write(more), 20);
    try {
      // Longer than all the limits, and on a connection of its own: one that has been idle may be closed at this moment.
      const beside = await postChat(cluster.url, chat("word ".repeat(100).trim(), { stream: true }), {
        connection: "close",
      });
      expect((await beside.text()).endsWith("data: [DONE]\n\n")).toBe(true);
      await eventually("the end", client.isClosed);
    } finally {
      clearInterval(timer);
    }
    expect(client.statuses()).toEqual(statuses);
  });

  test.each([
    [
      "/v1/chat/completions",
      {
        error: {
          type: "invalid_request_error",
          message: "the request did not arrive in time",
          param: null,
          code: null,
        },
      },
    ],
    [
      "/v1/messages",
      expect.objectContaining({
        type: "error",
        error: { type: "invalid_request_error", message: "the request did not arrive in time" },
      }),
    ],
  ])("one that drips the body of %s is answered in its shape, with its ids and a pair of lines", async (path, body) => {
    using client = dial(cluster.url);
    const id = `drip-${path.length}`;
    client.socket.write(head(path, id));
    const timer = setInterval(() => client.socket.write(" "), 20);
    await eventually("the end", client.isClosed).finally(() => clearInterval(timer));
    expect(client.statuses()).toEqual([408]);
    expect(client.text()).toContain(`x-request-id: ${id}\r\n`);
    expect(JSON.parse(client.text().split("\r\n\r\n")[1] ?? "")).toEqual(body);
    expect(await lineOf(cluster.frontend, "request completed", { x_request_id: id })).toMatchObject({
      status: "error",
      error_type: "validation",
    });
    const lines = cluster.frontend
      .lines()
      .filter((line) => line["x_request_id"] === id && line["target"] === "dyn_frontend::request_log");
    expect(lines.map(({ message }) => message)).toEqual([
      "request received",
      "http response sent",
      "request completed",
    ]);
  });
});

test("a client that never reads its stream is cut off, and the worker stops", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--http-send-timeout-ms", "300"] });
  using client = dial(cluster.url);
  client.socket.pause();
  const body = JSON.stringify(chat("word ".repeat(400_000), { stream: true }));
  const head = [
    "POST /v1/chat/completions HTTP/1.1",
    "Host: localhost",
    "Content-Type: application/json",
    "x-request-id: asleep",
  ];
  client.socket.write([...head, `Content-Length: ${body.length}`, "", body].join("\r\n"));
  const line = await lineOf(cluster.frontend, "request completed", { x_request_id: "asleep" });
  expect(line).toMatchObject({ status: "cancelled", error: "the client has read nothing of its answer for 300 ms" });
  const ended = await lineOf(cluster.workers[0], "request completed");
  expect(ended).toMatchObject({ status: "cancelled" });
  client.socket.resume();
  await eventually("the end", client.isClosed);
  expect(client.text().endsWith("0\r\n\r\n")).toBe(false);
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
});

test("a client that reads slowly is not cut off, and neither is one whose engine is slow", async () => {
  await using cluster = await startCluster({
    frontendArgs: ["--http-send-timeout-ms", "2000"],
    workerArgs: ["--ttft-ms", "2500"],
  });
  using client = dial(cluster.url);
  const body = JSON.stringify(chat("word ".repeat(100_000), { stream: true }));
  client.socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const timer = setInterval(() => {
    client.socket.pause();
    setTimeout(() => client.socket.resume(), 90);
  }, 100);
  await eventually("the whole answer", () => client.text().endsWith("0\r\n\r\n")).finally(() => clearInterval(timer));
  expect(client.text()).toContain("data: [DONE]");
});

describe.concurrent("over TLS", () => {
  let authority: Authority;
  let cluster: Cluster;
  beforeAll(async () => {
    authority = await createAuthority();
    const { cert, key } = await authority.issue("http");
    cluster = await startCluster({
      workers: 0,
      frontendArgs: [...short, "--tls-cert-path", cert, "--tls-key-path", key],
    });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    authority[Symbol.dispose]();
  });

  test("a client that never begins its handshake is closed in time", async () => {
    using client = dial(cluster.url);
    await eventually("the end", client.isClosed);
  });

  test.each([
    ["slow headers", "GET /live HTTP/1.1\r\nx-a: ", 408],
    [
      "a smuggled request",
      "GET /live HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
      400,
    ],
  ])("%s: refused as without it", async (_name, bytes, status) => {
    const socket = connectTls({
      port: Number(new URL(cluster.url).port),
      host: "127.0.0.1",
      ca: readFileSync(authority.ca),
    });
    let answer = "";
    let isClosed = false;
    socket.on("error", () => undefined); // a server that refuses may reset
    socket.on("close", () => (isClosed = true));
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.write(bytes);
    await eventually("the end", () => isClosed);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
    expect(cluster.frontend.lines().filter(isAbout("/smuggled"))).toEqual([]);
  });
});

test("every limit of the port can be set", async () => {
  const frontendArgs = [
    "--http-max-header-bytes",
    "2000",
    "--http-max-headers",
    "5",
    "--http-body-limit-mb",
    "1",
    "--http-max-connections",
    "2",
  ];
  await using cluster = await startCluster({ workers: 0, frontendArgs });
  using first = dial(cluster.url);
  first.socket.write(`GET /live HTTP/1.1\r\nx-a: ${"x".repeat(3_000)}\r\n\r\n`);
  await eventually("its end", first.isClosed);
  expect(first.text()).toContain("larger than the limit of 2000 bytes");
  using second = dial(cluster.url);
  second.socket.write(`GET /live HTTP/1.1\r\nHost: localhost\r\n${"x-a: 1\r\n".repeat(5)}\r\n`);
  await eventually("its end", second.isClosed);
  expect(second.statuses()).toEqual([431]);
  expect(second.text()).toContain("the request has 6 headers, the limit is 5");
  using third = dial(cluster.url);
  third.socket.write(
    "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n",
  );
  await eventually("an answer", () => third.statuses().length > 0);
  expect(third.statuses()).toEqual([413]);
  expect(third.text()).toContain("1048576 bytes");
  third[Symbol.dispose]();
  const kept = [dial(cluster.url), dial(cluster.url)];
  for (const each of kept) each.socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await eventually("two answers", () => kept.every((each) => each.statuses().length === 1));
  using tooMany = dial(cluster.url);
  tooMany.socket.write("GET /live HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually("its answer", () => tooMany.statuses().length === 1);
  await eventually("the end of the one that was idle for longest", () => kept.some((each) => each.isClosed()));
  expect(kept.filter((each) => each.isClosed())).toHaveLength(1);
  const isLine = ({ message, limit }: Line): boolean =>
    message === "connections are closed: there are too many" && limit === 2;
  await eventually("its line", () => cluster.frontend.lines().some(isLine));
  for (const each of kept) each[Symbol.dispose]();
});
