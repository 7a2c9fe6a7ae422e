// A stream that is silent says so at its pace, and only then.
import { once } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { Socket, type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createMemoryBudget } from "../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { EventStream } from "../../packages/frontend/src/http/sse.ts";
import { eventually } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";

const keepAlive = ": keep-alive\n\n";
const memory = createMemoryBudget(1 * 1024 * 1024, createRuntimeMetrics().memory).open();
const commonHeaders = { "x-request-id": "mine", "request-id": "ours" };
const words = (text: string): number => text.split(keepAlive).length - 1;

interface Stream {
  readonly events: EventStream;
  readonly response: ServerResponse;
  /** All that a client has taken. */
  readonly text: () => string;
  readonly begun: () => number;
  /** A client that has stopped reads again. */
  readonly read: () => void;
}

// A client in memory, so that only the injected clock moves. One that is not reading lets everything wait.
function open(keepAliveMs: number, { isReading = true } = {}): Stream {
  let [text, begun, reads] = ["", 0, isReading];
  let waiting: (() => void) | undefined;
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      if (reads) done();
      else waiting = done;
    },
  });
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  response.assignSocket(socket as Socket);
  const onBegin = (): void => void (begun += 1);
  const events = new EventStream(
    { response, commonHeaders, memory },
    { keepAlive, keepAliveMs, now: () => performance.now(), onBegin },
  );
  const read = (): void => {
    reads = true;
    waiting?.();
  };
  return { events, response, text: () => text, begun: () => begun, read };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a stream that is silent", () => {
  test("sends its headers and a word after so long, and further words at that pace", async () => {
    const { events, text, begun } = open(100);
    await vi.advanceTimersByTimeAsync(99);
    expect([text(), events.hasBegun, begun()]).toEqual(["", false, 0]);
    await vi.advanceTimersByTimeAsync(1);
    expect(text()).toMatch(
      /^HTTP\/1\.1 200 OK\r\nx-request-id: mine\r\nrequest-id: ours\r\ncontent-type: text\/event-stream/,
    );
    expect([words(text()), events.hasBegun, begun()]).toEqual([1, true, 1]);
    await vi.advanceTimersByTimeAsync(300);
    expect([words(text()), begun(), events.bytes]).toEqual([4, 1, 4 * keepAlive.length]);
  });

  test("counts from its last byte, with one timer however many there are", async () => {
    const { events, text } = open(100);
    for (let index = 0; index < 50; index += 1) {
      await vi.advanceTimersByTimeAsync(90);
      void events.write(`data: ${index}\n\n`);
    }
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(99);
    expect(words(text())).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(words(text())).toBe(1);
  });

  test("is as silent with batches that come to no bytes", async () => {
    const { events, text } = open(100);
    for (let index = 0; index < 4; index += 1) {
      await vi.advanceTimersByTimeAsync(30);
      expect(events.write("")).toBeUndefined();
    }
    expect(words(text())).toBe(1);
  });

  test("sends nothing to a client that leaves bytes waiting, until it has read them", async () => {
    const { events, response, read, text } = open(100, { isReading: false });
    void events.write("data: 1\n\n");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(words(text())).toBe(0);
    expect(response.writableLength).toBeLessThan(1_000); // what was written, and nothing on top of it
    read();
    await vi.advanceTimersByTimeAsync(100);
    expect(words(text())).toBe(1);
  });

  test.each([
    ["with 0", 0, () => undefined],
    ["once it has ended", 100, ({ events }: Stream) => events.end("data: [DONE]\n\n")],
    ["once it is given up", 100, ({ events }: Stream) => events[Symbol.dispose]()],
  ])("says nothing %s", async (_name, keepAliveMs, act) => {
    const stream = open(keepAliveMs);
    act(stream);
    await vi.advanceTimersByTimeAsync(100_000);
    expect([words(stream.text()), vi.getTimerCount()]).toEqual([0, 0]);
  });

  test("says nothing to a client that is gone", async () => {
    const { response, text } = open(100);
    response.destroy();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([words(text()), vi.getTimerCount()]).toEqual([0, 0]);
  });
});

test("words wait for the answers before theirs, and do not pile up, where a client sends requests at once", async () => {
  vi.useRealTimers();
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => void responses.push(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  using client = dial((server.address() as AddressInfo).port);
  client.socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2));
  const [first, response] = await eventually("both requests", () => responses.length === 2 && responses);
  if (!first || !response) throw new Error("a request is missing");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  using events = new EventStream(
    { response, commonHeaders, memory },
    { keepAlive, keepAliveMs: 100, now: () => performance.now(), onBegin: () => undefined },
  );
  await vi.advanceTimersByTimeAsync(1_000);
  expect(events.bytes).toBe(keepAlive.length);
  first.end("first");
  vi.useRealTimers();
  await eventually("the word", () => words(client.text()) === 1);
  expect(client.text().indexOf("first")).toBeLessThan(client.text().indexOf(keepAlive));
  server.close();
});
