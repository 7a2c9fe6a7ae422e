// The end of a host: nobody who could have an answer goes without, and nobody who wants none holds it.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { HostOptions, HttpHost } from "../../../packages/runtime/src/http/host.ts";
import { sendJson } from "../../../packages/runtime/src/http/reply.ts";
import type { RouteEntry } from "../../../packages/runtime/src/http/route.ts";
import { createAuthority } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";
import { dial, type Client } from "../../support/http-client.ts";
import { startOtherThread } from "../../support/other-thread.ts";
import { atOnce, open, patient, route } from "./open-host.ts";

const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const lamp = route("/lamp", ({ exchange }) => sendJson(exchange, 200, "on"));
/** Longer than any test may take. */
const waiting = { ...atOnce, timeoutMs: 600_000 };

let held: (() => void)[] = [];
afterEach(() => void (held = []));
/** Answers when `release` is called. */
const slow = route(
  "/slow",
  ({ exchange }) => new Promise<void>((resolve) => held.push(() => resolve(sendJson(exchange, 200, "late")))),
);
function release(): void {
  for (const answer of held.splice(0)) answer();
}

/** Begins its answer at once, and ends it when `release` is called. */
const stream = route("/stream", ({ exchange: { response } }) => {
  response.writeHead(200, { "content-length": "4" }).write("la");
  return new Promise<void>((resolve) => held.push(() => resolve(void response.end("st"))));
});

const order: RouteEntry = route("/order", ({ exchange }) => sendJson(exchange, 200, "done"), {
  method: "POST",
  takes: "text",
});

async function openIt(options: Partial<HostOptions> = {}): Promise<HttpHost> {
  return (await open([lamp, slow, stream, order], options)).host;
}

async function hold(host: HttpHost, path: string): Promise<Client> {
  const client = dial(host.port);
  client.socket.write(ask(path));
  await eventually("the request", () => held.length > 0);
  return client;
}

describe("what is on its way when a host begins to close is answered:", () => {
  test("requests on connections that it has not accepted yet", async () => {
    const host = await openIt();
    await using other = startOtherThread(host.port);
    other.write(100, ask("/lamp"));
    other.standStill();
    await host.close(waiting);
    await eventually("the end of all", () => other.seen.every(({ isClosed }) => isClosed));
    for (const { text, error } of other.seen)
      expect([text.split("\r\n", 1)[0], error]).toEqual(["HTTP/1.1 200 OK", undefined]);
  });

  test("requests on connections that were idle", async () => {
    const host = await openIt();
    await using other = startOtherThread(host.port);
    other.write(20, ask("/lamp"));
    await eventually("the first answers", () => other.seen.every(({ text }) => text.endsWith('"on"')));
    other.write(20, ask("/lamp"));
    other.standStill();
    await host.close(waiting);
    await eventually("the end of all", () => other.seen.every(({ isClosed }) => isClosed));
    for (const { text, error } of other.seen) {
      expect([text.match(/HTTP\/1\.1 200 OK/g), text.match(/^connection: close/gim), error]).toEqual([
        ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"],
        ["connection: close"],
        undefined,
      ]);
    }
  });

  test("requests whose head has come in part on connections that were idle", async () => {
    const host = await openIt();
    using running = await hold(host, "/slow");
    using client = dial(host.port);
    client.socket.write(ask("/lamp"));
    await eventually("the first answer", () => client.statuses().length === 1);
    const [begin, end] = [ask("/lamp").slice(0, 10), ask("/lamp").slice(10)];
    client.socket.write(begin);
    await eventually("its being there", () => client.socket.bytesWritten === ask("/lamp").length + begin.length);
    using late = dial(host.port); // accepted after those bytes have been read
    late.socket.write(ask("/lamp"));
    await eventually("an answer", () => late.statuses().length === 1);
    const closed = host.close(waiting);
    await eventually("the end of one that is idle", late.isClosed);
    client.socket.write(end);
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([200, 200]);
    release();
    await closed;
    expect(running.statuses()).toEqual([200]);
  });

  test("an answer that its client has not read", async () => {
    const text = "x".repeat(20_000_000);
    const large = route("/large", ({ exchange: { response } }) => void response.end(text));
    const { host } = await open([large]);
    using client = dial(host.port);
    client.socket.pause();
    client.socket.write(ask("/large"));
    await eventually("its beginning", () => client.socket.bytesRead > 0 || client.socket.readableLength > 0);
    const closed = host.close(waiting);
    await eventually("the port being closed", () => isDeaf(host.port));
    let bytes = 0;
    client.socket.removeAllListeners("data").on("data", (chunk: Buffer) => (bytes += chunk.length));
    client.socket.resume();
    await closed;
    await eventually("the end", client.isClosed);
    expect(bytes).toBeGreaterThan(text.length);
  });
});

describe("nobody holds the end of a host:", () => {
  test("a client that has asked for nothing", async () => {
    const host = await openIt();
    using client = dial(host.port);
    await eventually("the connection", () => client.socket.readyState === "open");
    await host.close(waiting);
    await eventually("the end", client.isClosed);
    expect(client.text()).toBe("");
  });

  test.each([
    ["begins no TLS handshake", "", waiting],
    ["ends no TLS handshake, once time is over", "\u0016\u0003\u0001", { ...atOnce, lastWordsMs: 0 }],
  ])("one that %s", async (_name, bytes, end) => {
    using authority = await createAuthority();
    const { cert, key } = await authority.issue("localhost");
    const material = { cert: readFileSync(cert), key: readFileSync(key) };
    const tls = { current: { options: material }, follow: () => undefined, explain: String };
    const host = await openIt({ tls });
    using client = dial(host.port);
    client.socket.write(bytes);
    await eventually("the connection", () => client.socket.readyState === "open");
    await host.close(end);
    await eventually("the end", client.isClosed);
  });

  test("one whose next head does not come", async () => {
    const host = await openIt({ limits: { ...patient, httpHeaderTimeoutMs: 100 } });
    using running = await hold(host, "/slow");
    using client = dial(host.port);
    client.socket.write(`${ask("/lamp")}GET /la`);
    await eventually("the first answer", () => client.statuses().length === 1);
    const closed = host.close(waiting);
    await eventually("the end", client.isClosed);
    release();
    await closed;
    expect(running.statuses()).toEqual([200]);
  });

  test("one whose first head does not come, which is told so", async () => {
    const host = await openIt({ limits: { ...patient, httpHeaderTimeoutMs: 1_000 } });
    using running = await hold(host, "/slow");
    using client = dial(host.port);
    client.socket.write("GET /la");
    using late = dial(host.port); // accepted after those bytes have been read
    late.socket.write(ask("/lamp"));
    await eventually("an answer", () => late.statuses().length === 1);
    const closed = host.close(waiting);
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([408]);
    release();
    await closed;
    expect(running.statuses()).toEqual([200]);
  });

  test("one whose body does not come, which is told why once time is over", async () => {
    const host = await openIt();
    using client = dial(host.port);
    client.socket.write(
      "POST /order HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
    );
    await eventually("the order being read", () => client.text().includes("100 Continue"));
    client.socket.write("on");
    await host.close(atOnce);
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([503]);
    expect(client.text()).toContain("it is over");
  });

  test("one whose requests wait behind each other, which are all told why once time is over", async () => {
    const { host } = await open([
      route("/endless", async ({ exchange: { signal } }) => {
        held.push(() => undefined);
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        throw signal.reason;
      }),
    ]);
    using client = dial(host.port);
    client.socket.write(ask("/endless").repeat(20));
    await eventually("the first", () => held.length === 8);
    await host.close(atOnce);
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual(Array.from({ length: 20 }, () => 503));
    expect([held.length, client.text().match(/it is over/g)?.length]).toEqual([8, 20]);
  });

  test("one that stays after the end of its answer, whose head had promised more", async () => {
    const host = await openIt();
    using client = await hold(host, "/stream");
    await eventually("its beginning", () => client.text().endsWith("la"));
    const closed = host.close(waiting);
    await eventually("the port being closed", () => isDeaf(host.port));
    release();
    await closed;
    await eventually("the end", client.isClosed);
    expect(client.text()).toMatch(/keep-alive[^]*last$/);
  });
});

describe("the last answer of a connection", () => {
  test("reaches a client that still sends a body that nobody wants", async () => {
    const host = await openIt({ isLast: () => true });
    const body = Buffer.alloc(8_000_000, "x");
    for (let round = 0; round < 3; round += 1) {
      using client = dial(host.port);
      let error: Error | undefined;
      client.socket.on("error", (broken) => (error = broken));
      client.socket.write(`POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`);
      client.socket.write(body);
      await eventually("the end", client.isClosed);
      expect([client.statuses(), error]).toEqual([[404], undefined]);
    }
    await host.close(atOnce);
  });

  test("is the last: a request behind it is not handled", async () => {
    const host = await openIt({ isLast: ({ url }) => url === "/slow?last" });
    using client = dial(host.port);
    client.socket.write(ask("/slow") + ask("/slow?last") + ask("/slow"));
    await eventually("both", () => held.length >= 2);
    using late = dial(host.port);
    late.socket.write(ask("/lamp"));
    await eventually("an answer", () => late.statuses().length === 1);
    expect(held).toHaveLength(2);
    release();
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([200, 200]);
    await host.close(atOnce);
  });

  test("is the last if its client was not asked for the body that it sends all the same", async () => {
    const host = await openIt();
    using client = dial(host.port);
    const expecting = "POST /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client.socket.write(`${expecting}hi${ask("/slow")}`);
    await eventually("the end", client.isClosed);
    expect([client.statuses(), held.length]).toEqual([[404], 0]);
    await host.close(atOnce);
  });
});

function isDeaf(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(false)).once("error", () => resolve(true));
    socket.once("connect", () => socket.destroy());
  });
}
