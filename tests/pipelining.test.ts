// Requests that are sent on a connection without waiting for answers.
import { expect, test } from "vitest";
import { eventually } from "./cluster.ts";
import type { Client } from "./http-client.ts";
import { openSubject, type Subject } from "./http-subject.ts";

const ask = (path: number | string): string => `GET /${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const paths = (count: number): string[] => Array.from({ length: count }, (_, index) => `/${index}`);
const answered = (client: Client): string[] => client.text().match(/(?<=answer to )\/\d+/g) ?? [];

interface Held extends Subject {
  /** Answer the first that has no answer yet. */
  release(): void;
  /** From now on all are answered at once. */
  releaseAll(): void;
}

async function openHeld(): Promise<Held> {
  const held: (() => void)[] = [];
  let isOpen = false;
  const subject = await openSubject({}, (request, response) => {
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
  client.socket.write(
    paths(200)
      .map((path) => ask(path.slice(1)))
      .join(""),
  );
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
  client.socket.write(all.map((path) => ask(path.slice(1))).join(""));
  await eventually("the first", () => subject.handled.length === 8);
  const seen = subject.seen();
  for (let count = 9; count < 30; count += 1) {
    subject.release();
    await eventually("the next", () => subject.handled.length === count);
  }
  expect(subject.seen()).toBe(seen);
  expect(seen).toBeLessThan(3_000);
  subject.releaseAll();
  await eventually("all answers", () => answered(client).length === all.length);
  expect(answered(client)).toEqual(all);
});

test("requests are read to the end of their bodies once they have their turn", async () => {
  await using subject = await openHeld();
  using client = subject.dial();
  const body = "x".repeat(1_000_000);
  client.socket.write(
    `${paths(9)
      .map((path) => ask(path.slice(1)))
      .join("")}POST /9 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
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
  client.socket.write(
    `${paths(count)
      .map((path) => ask(path.slice(1)))
      .join("")}${broken}${ask("smuggled")}`,
  );
  await eventually("the first", () => subject.handled.length === 8);
  subject.releaseAll();
  await eventually("the end", client.isClosed);
  expect(client.statuses()).toEqual([...paths(count).map(() => 200), 400]);
  expect(subject.handled).toEqual(paths(count).map((path) => `GET ${path} `));
});

test("requests end their connection after the answers if too many wait in all, and hurt nobody who asks one at a time", async () => {
  await using subject = await openHeld();
  const flood = paths(2_000)
    .map((path) => ask(path.slice(1)))
    .join("");
  const clients = Array.from({ length: 8 }, () => subject.dial());
  for (const { socket } of clients) socket.write(flood);
  await eventually("all being heard", () => subject.handled.length === 64);
  using late = subject.dial();
  late.socket.write(
    paths(20)
      .map((path) => ask(path.slice(1)))
      .join(""),
  );
  using other = subject.dial();
  other.socket.write(ask("other"));
  await eventually("both being heard", () => subject.handled.length === 73);
  for (const client of clients) client[Symbol.dispose]();
  subject.releaseAll();
  await eventually("the end", late.isClosed);
  expect(answered(late)).toEqual(paths(8));
  await eventually("the other's answer", () => other.text().endsWith("answer to /other"));
  await eventually("those who have left being gone", async () => (await subject.connections()) === 1);
  using next = subject.dial();
  next.socket.write(
    paths(100)
      .map((path) => ask(path.slice(1)))
      .join(""),
  );
  await eventually("all answers, now that there are places again", () => answered(next).length === 100);
});
