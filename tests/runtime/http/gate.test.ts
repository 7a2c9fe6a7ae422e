// What becomes of bytes at an HTTP server of ours: refused requests end their connection, and nothing behind them is handled.
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/cluster.ts";
import type { Client } from "../../support/http-client.ts";
import { refused, refusedAtOnce } from "./faults.ts";
import { served } from "./harmless.ts";
import { openSubject } from "./subject.ts";

describe("refused, its connection closed, and nothing of it handled:", () => {
  test.each([...refused, ...refusedAtOnce])("$name ($status)", async ({ bytes, status }) => {
    await using subject = await openSubject();
    using client = subject.dial();
    client.socket.write(Buffer.from(bytes, "latin1"));
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([status]);
    expect(client.text()).toMatch(/^connection: close/im);
    expect(subject.handled).toEqual([]);
    await eventually("no connection being left", async () => (await subject.connections()) === 0);
  });

  test.each(refused)("$name, a byte at a time ($status)", async ({ bytes, status }) => {
    await using subject = await openSubject();
    using client = subject.dial();
    client.socket.setNoDelay(true);
    const head = bytes.slice(0, 400);
    for (const byte of Buffer.from(head, "latin1")) client.socket.write(Buffer.of(byte));
    client.socket.write(Buffer.from(bytes.slice(400), "latin1"));
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([status]);
    expect(subject.handled).toEqual([]);
  });
});

describe("served:", () => {
  test.each(served)("$name", async ({ bytes, handled }) => {
    await using subject = await openSubject();
    using client = subject.dial();
    client.socket.write(Buffer.from(bytes, "latin1"));
    await eventually("the answers", () => client.statuses().length === handled.length);
    client.socket.end(); // what is to come has come: nothing else is handled
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual(handled.map(() => 200));
    expect(subject.handled).toEqual(handled);
  });
});

describe("requests behind each other on a connection", () => {
  test("are answered in their order, whichever is ready first", async () => {
    const waiting = new Map<string, () => void>();
    await using subject = await openSubject({}, (request, response) =>
      waiting.set(request.url ?? "", () => response.end(`answer to ${request.url}`)),
    );
    using client = subject.dial();
    client.socket.write(["/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
    await eventually("all three", () => waiting.size === 3);
    for (const path of ["/3", "/2", "/1"]) waiting.get(path)?.();
    await eventually("the answers", () => client.text().includes("answer to /3"));
    expect(client.text().match(/answer to \/\d/g)).toEqual(["answer to /1", "answer to /2", "answer to /3"]);
  });

  test.each([
    ["no HTTP", "garbage\r\n\r\n", 400],
    ["a request without Host", "GET /2 HTTP/1.1\r\n\r\n", 400],
    ["a bad chunk", "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400],
    ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501],
    ["an unknown method", "FROB /2 HTTP/1.1\r\nHost: a\r\n\r\n", 501],
  ])("are answered before the refusal of what follows them: %s", async (_name, bytes, status) => {
    let finish: (() => void) | undefined;
    await using subject = await openSubject({}, (_request, response) => (finish = () => response.end("the first")));
    using client = subject.dial();
    client.socket.write(`GET /1 HTTP/1.1\r\nHost: a\r\n\r\n${bytes}`);
    await eventually("the first", () => finish);
    expect(client.text()).toBe("");
    finish?.();
    await eventually("the end", client.isClosed);
    expect(client.statuses()).toEqual([200, status]);
    expect(subject.handled).toEqual(["GET /1 "]);
  });
});

// Each waits for a limit: all at once.
describe.concurrent("slow clients are told so and closed, and others are served beside them:", () => {
  const drip = (client: Client, next: () => string): NodeJS.Timeout =>
    setInterval(() => client.socket.write(next()), 20);
  const head = "POST / HTTP/1.1\r\nHost: a\r\n";
  const short = { httpHeaderTimeoutMs: 300, httpReceiveTimeoutMs: 600, httpKeepAliveTimeoutMs: 300 };

  test.each<[string, readonly number[], string, (() => string) | undefined]>([
    ["one that says nothing", [408], "", undefined],
    ["one that sends empty lines alone", [408], "", () => "\r\n"],
    ["one that sends its headers byte by byte", [408], `${head}X-A: `, () => "x"],
    ["one that sends its body byte by byte", [408], `${head}Content-Length: 100000\r\n\r\n`, () => "x"],
    ["one that sends its chunks byte by byte", [408], `${head}Transfer-Encoding: chunked\r\n\r\n`, () => "1\r\nx\r\n"],
    ["one that stops in its body", [408], `${head}Content-Length: 10\r\n\r\nx`, undefined],
    [
      "one that offers another protocol and stops in its body",
      [408],
      `${head}Upgrade: h2c\r\nContent-Length: 10\r\n\r\nx`,
      undefined,
    ],
    [
      "one that offers another protocol and drips its body",
      [408],
      `${head}Upgrade: h2c\r\nContent-Length: 100000\r\n\r\n`,
      () => "x",
    ],
    [
      "one that offers another protocol and sends a bad chunk",
      [400],
      `${head}Upgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      undefined,
    ],
    ["one that asks for nothing more", [200], "GET / HTTP/1.1\r\nHost: a\r\n\r\n", undefined],
    ["one that sends empty lines after its request", [200], "GET / HTTP/1.1\r\nHost: a\r\n\r\n", () => "\r\n"],
    [
      "one that sends its second headers byte by byte",
      [200, 408],
      `GET / HTTP/1.1\r\nHost: a\r\n\r\n${head}X-A: `,
      () => "x",
    ],
  ])("%s", async (_name, statuses, first, next) => {
    await using subject = await openSubject(short);
    using client = subject.dial();
    client.socket.write(first);
    const timer = next && drip(client, next);
    try {
      using other = subject.dial();
      other.socket.write("GET /beside HTTP/1.1\r\nHost: a\r\n\r\n");
      await eventually("the other's answer", () => other.statuses().length === 1);
      await eventually("the end", client.isClosed);
    } finally {
      clearInterval(timer);
    }
    expect(client.statuses()).toEqual(statuses);
    expect(subject.handled).toContain("GET /beside ");
    await eventually("no connection being left", async () => (await subject.connections()) === 0);
  });

  test("a peer that is refused and never leaves is closed all the same", async () => {
    await using subject = await openSubject();
    using client = subject.dial({ allowHalfOpen: true });
    client.socket.write("garbage\r\n\r\n");
    await eventually("the refusal", () => client.statuses().length === 1);
    await eventually("no connection being left", async () => (await subject.connections()) === 0);
  });

  test("one connection too many closes the one that has been idle for longest, and none that has asked for nothing takes a place", async () => {
    await using subject = await openSubject({ httpMaxConnections: 2 });
    const ask = async (client: Client): Promise<void> => {
      client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await eventually("an answer", () => client.statuses().length === 1);
    };
    const silent = Array.from({ length: 60 }, () => subject.dial());
    await eventually("all of them", async () => (await subject.connections()) === silent.length);
    const [first, second, third] = [subject.dial(), subject.dial(), subject.dial()] as const;
    for (const client of [first, second, third]) await ask(client);
    await eventually("the end of the first", first.isClosed);
    expect([second.isClosed(), third.isClosed()]).toEqual([false, false]);
    const gone = (): number[] => silent.flatMap(({ isClosed }, index) => (isClosed() ? [index] : []));
    expect(gone()).toEqual([]);
    const more = Array.from({ length: 5 }, () => subject.dial());
    await eventually("the end of the oldest that is silent", () => gone().length > 0);
    expect(gone()).toEqual([0]);
    for (const client of [...silent, ...more, second, third]) client[Symbol.dispose]();
  });

  test("one connection too many takes the place of one that has had its last answer and does not leave", async () => {
    await using subject = await openSubject({ httpMaxConnections: 1 });
    for (let count = 0; count < 3; count += 1) {
      using client = subject.dial({ allowHalfOpen: true });
      client.socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await eventually("the end", () => client.socket.readableEnded);
      expect(client.statuses()).toEqual([200]);
      using next = subject.dial();
      next.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await eventually("an answer", () => next.statuses().length === 1 || next.isClosed());
      expect(next.statuses()).toEqual([200]);
    }
  });

  test("one connection too many is closed if all others are at work", async () => {
    const answers: (() => void)[] = [];
    await using subject = await openSubject({ httpMaxConnections: 1 }, (_request, response) =>
      answers.push(() => response.end("ok")),
    );
    using first = subject.dial();
    first.socket.write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually("the first", () => answers.length === 1);
    using second = subject.dial();
    second.socket.write("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually("its end", second.isClosed);
    expect([second.text(), first.isClosed(), subject.handled]).toEqual(["", false, ["GET /1 "]]);
    answers.shift()?.();
    await eventually("the first's answer", () => first.statuses().length === 1);
  });
});
