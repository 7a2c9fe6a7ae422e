// Requests that are sent on a connection without waiting for answers.
import { expect, test } from "vitest";
import type { HttpLimits } from "../../../packages/runtime/src/http/limits.ts";
import { eventually } from "../../support/cluster.ts";
import type { Client } from "../../support/http-client.ts";
import { openSubject, type Subject } from "./subject.ts";

const ask = (path: number | string): string => `GET /${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const paths = (count: number): string[] => Array.from({ length: count }, (_, index) => `/${index}`);
const asks = (count: number): string =>
  paths(count)
    .map((path) => ask(path.slice(1)))
    .join("");
const answered = (client: Client): string[] => client.text().match(/(?<=answer to )\/\d+/g) ?? [];

interface Held extends Subject {
  /** Answer the first that has no answer yet. */
  release(): void;
  /** From now on all are answered at once. */
  releaseAll(): void;
}

async function openHeld(limits: Partial<HttpLimits> = {}): Promise<Held> {
  const held: (() => void)[] = [];
  let isOpen = false;
  const subject = await openSubject(limits, (request, response) => {
    const reply = (): void => void response.end(`answer to ${request.url}`);
    if (isOpen) reply();
    else held.push(reply);
  });
  return Object.assign(subject, {
    release: () => held.shift()?.(),
    releaseAll() {
      isOpen = true;
      for (const reply of held.splice(0)) reply();
    },
  });
}

test("requests are handled eight at a time, and all answered in their order", async () => {
  await using subject = await openHeld();
  using client = subject.dial();
  client.socket.write(asks(200));
  await eventually("the first", () => subject.handled.length > 0);
  expect(subject.handled).toEqual(paths(8).map((path) => `GET ${path} `));
  subject.release();
  await eventually("the next", () => subject.handled.length > 8);
  expect(subject.handled).toHaveLength(9);
  subject.releaseAll();
  await eventually("all answers", () => answered(client).length === 200);
  expect(answered(client)).toEqual(paths(200));
  client.socket.write(ask("after"));
  await eventually("an answer to what is asked later", () => client.text().endsWith("answer to /after"));
});

test("requests stay unread while others wait for their turn", async () => {
  await using subject = await openHeld();
  using client = subject.dial();
  const all = paths(6_000);
  client.socket.write(asks(all.length));
  await eventually("the first", () => subject.handled.length === 8);
  const seen = subject.seen();
  for (let count = 9; count < 30; count += 1) {
    subject.release();
    await eventually("the next", () => subject.handled.length === count);
  }
  expect(subject.seen()).toBe(seen);
  expect(seen).toBeLessThan(200);
  subject.releaseAll();
  await eventually("all answers", () => answered(client).length === all.length);
  expect(answered(client)).toEqual(all);
});

test("requests are read to the end of their bodies once they have their turn", async () => {
  await using subject = await openHeld();
  using client = subject.dial();
  const body = "x".repeat(1_000_000);
  client.socket.write(`${asks(9)}POST /9 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  client.socket.write(body);
  client.socket.write(ask(10));
  await eventually("the first", () => subject.handled.length === 8);
  subject.releaseAll();
  await eventually("all answers", () => answered(client).length === 11);
  expect(subject.handled.slice(8)).toEqual(["GET /8 ", `POST /9 ${body}`, "GET /10 "]);
});

test.each([
  ["while it waits", 9],
  ["while those before it wait", 30],
])("requests are refused in their place if their body is broken, %s", async (_name, count) => {
  await using subject = await openHeld();
  using client = subject.dial();
  const broken = "POST /broken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
  client.socket.write(`${asks(count)}${broken}${ask("smuggled")}`);
  await eventually("the first", () => subject.handled.length === 8);
  subject.releaseAll();
  await eventually("the end", client.isClosed);
  expect(client.statuses()).toEqual([...paths(count).map(() => 200), 400]);
  expect(subject.handled).toEqual(paths(count).map((path) => `GET ${path} `));
});

test("requests behind each other are read and handled a few at a time, so that another connection is heard in between", async () => {
  let first: (() => void) | undefined;
  await using subject = await openSubject({}, (_request, response) => {
    first?.();
    first = undefined;
    response.end("ok");
  });
  using other = subject.dial();
  using client = subject.dial();
  await eventually("both connections", async () => (await subject.connections()) === 2);
  const heard = Promise.withResolvers<{ handled: number; seen: number }>();
  other.socket.once("data", () => heard.resolve({ handled: subject.handled.length, seen: subject.seen() }));
  first = () => other.socket.write(ask("other")); // while the server is at work on the first of many
  client.socket.write(ask("x").repeat(2_000));
  const { handled, seen } = await heard.promise;
  expect(handled).toBeLessThan(500);
  expect(seen).toBeLessThan(500);
  await eventually("all answers", () => client.statuses().length === 2_000);
});

test("requests are all answered if their client is slow to read and more are there to be read", async () => {
  const large = Buffer.alloc(2_000_000, "x");
  await using subject = await openSubject({}, (_request, response) => response.end(large));
  using client = subject.dial();
  client.socket.removeAllListeners("data").pause(); // its text would be too much
  let bytes = 0;
  client.socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
  const count = 45;
  client.socket.write(ask("x".repeat(150)).repeat(count));
  await eventually("the first", () => subject.handled.length >= 8);
  client.socket.resume();
  await eventually("all answers", () => bytes > count * large.length);
  expect([subject.handled.length, client.isClosed()]).toEqual([count, false]);
});

test("requests end their connection after the answers if too many wait in all, and hurt nobody who asks one at a time", async () => {
  await using subject = await openHeld({ httpMaxConnections: 300 });
  const clients = Array.from({ length: 200 }, () => subject.dial());
  for (const { socket } of clients) socket.write(ask("x").repeat(200));
  await eventually("all being heard", () => subject.handled.length === clients.length * 8);
  using late = subject.dial();
  late.socket.write(asks(20));
  using other = subject.dial();
  other.socket.write(ask("other"));
  await eventually("both being heard", () => subject.handled.length === clients.length * 8 + 9);
  for (const client of clients) client[Symbol.dispose]();
  subject.releaseAll();
  await eventually("the end", late.isClosed);
  expect(answered(late)).toEqual(paths(8));
  await eventually("the other's answer", () => other.text().endsWith("answer to /other"));
  await eventually("those who have left being gone", async () => (await subject.connections()) === 1);
  using next = subject.dial();
  next.socket.write(asks(100));
  await eventually("all answers, now that there are places again", () => answered(next).length === 100);
});

test.each([
  ["a refusal", "GET /last HTTP/1.1\r\n\r\n", 400],
  [
    "an offer of another protocol",
    "GET /last HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    200,
  ],
  ["bytes that are none", "none\r\n\r\n", 400],
])("requests behind the last one of a connection are not even made of its bytes: %s", async (_name, last, status) => {
  await using subject = await openHeld();
  using client = subject.dial();
  client.socket.write(`${asks(30)}${last}${ask("x").repeat(2_000)}`);
  await eventually("the first", () => subject.handled.length === 8);
  for (let count = 1; count < 30; count += 1) {
    subject.release();
    await eventually("an answer", () => answered(client).length === count);
  }
  client.socket.write(ask("y").repeat(20_000)); // while the answer before the last one keeps the connection
  await eventually("all being sent", () => client.socket.writableLength === 0);
  expect(subject.seen()).toBeLessThan(200);
  subject.releaseAll();
  await eventually("the end", client.isClosed);
  expect(client.statuses()).toEqual([...paths(30).map(() => 200), status]);
});
