// What a listener does with peers that mean no good.
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeHello } from "../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../support/cluster.ts";
import { collect, frame, greeting, hello, rawPeer, request, startPair, type RawPeer } from "./peers.ts";

// The kernel queues some hundreds of connections that have not been accepted.
async function flood(port: number, connections: number): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  while (peers.length < connections) {
    const batch = Array.from({ length: 200 }, () => rawPeer(connect(port, "127.0.0.1"), false));
    await eventually("their connections", () => batch.every(({ socket }) => !socket.connecting));
    peers.push(...batch);
  }
  return peers;
}

describe("a hostile dialler costs its own connection and nobody else anything", () => {
  const attacks: [string, (peer: RawPeer) => void, string?][] = [
    ["random bytes", (peer) => peer.sendBytes(Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
    ["half a preface and silence", (peer) => peer.sendBytes(preface.subarray(0, 4))],
    ["a preface and silence", (peer) => peer.sendBytes(preface), "no HELLO"],
    [
      "a preface and garbage",
      (peer) => peer.sendBytes(Buffer.concat([preface, Buffer.alloc(100, 0xee)])),
      "unknown frame type",
    ],
    [
      "a frame of 4 GiB",
      (peer) => peer.sendBytes(Buffer.concat([greeting(), frame("ffffffff0200000001")])),
      "too_large",
    ],
    [
      "a HELLO larger than 4096 bytes",
      (peer) => peer.sendBytes(Buffer.concat([preface, frame("000010010100000000")])),
      "too_large",
    ],
    [
      "a HELLO of another version",
      (peer) => peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...hello, version: 2 as 1 }))),
      "version 2",
    ],
    [
      "a HELLO with a frame limit that not even an ERROR fits into",
      (peer) =>
        peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...hello, max_frame_bytes: 4_095 }))),
      "max_frame_bytes 4095, expected at least 4096",
    ],
    [
      "a REQUEST before HELLO",
      (peer) => peer.send((writer) => (writer.bytes(preface), messages.encodeRequest(writer, 1, request))),
      "REQUEST before HELLO",
    ],
    [
      "a second HELLO",
      (peer) => peer.sendBytes(Buffer.concat([greeting(), greeting().subarray(preface.length)])),
      "second HELLO",
    ],
    [
      "a REQUEST on stream 0",
      (peer) => (peer.sendBytes(greeting()), peer.send((writer) => messages.encodeRequest(writer, 0, request))),
      "on stream 0",
    ],
    [
      "a reused stream id",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => (messages.encodeRequest(writer, 2, request), messages.encodeRequest(writer, 1, request)))
      ),
      "reuses stream 1",
    ],
    [
      "CREDIT for a stream never opened",
      (peer) => (peer.sendBytes(greeting()), peer.send((writer) => messages.encodeCredit(writer, 9, 1))),
      "never opened",
    ],
    [
      "GOAWAY on a stream",
      (peer) => (peer.sendBytes(greeting()), peer.sendBytes(frame("000000000a00000001"))),
      "GOAWAY is not for the listening side",
    ],
    [
      "CANCEL with a byte too many",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 })),
        peer.sendBytes(frame("00000002060000000101ff"))
      ),
      "1 byte too many",
    ],
    [
      "CANCEL of a fourth kind",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 })),
        peer.sendBytes(frame("00000001060000000103"))
      ),
      "CANCEL has mode 3",
    ],
    [
      "CANCEL without a kind",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 })),
        peer.sendBytes(frame("000000000600000001"))
      ),
      "truncated",
    ],
    [
      "CREDIT with a byte too many",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 })),
        peer.sendBytes(frame("00000005070000000100000001ff"))
      ),
      "1 byte too many",
    ],
    [
      "ITEMS to a listener",
      (peer) => (peer.sendBytes(greeting()), peer.sendBytes(frame("000000000300000001"))),
      "never opened",
    ],
    [
      "a PING of 7 bytes",
      (peer) => (peer.sendBytes(greeting()), peer.sendBytes(frame("000000070800000000" + "00".repeat(7)))),
      "not 8 bytes",
    ],
  ];

  test.each(attacks)("%s", async (name, attack, reason) => {
    await using pair = await startPair(name.endsWith("silence") ? { worker: { tcpConnectTimeoutMs: 1_000 } } : {});
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    attack(peer);
    await eventually("the connection ending", () => peer.isClosed);
    if (reason !== undefined) {
      const last = peer.frames.at(-1);
      expect(last).toMatchObject({ type: frameTypes.ERROR, id: 0 });
      const { code, message } = endings.decodeError(last?.body ?? Buffer.alloc(0));
      expect(`${code}: ${message}`).toContain(reason);
    }
    expect(await collect(pair.client.generate({ count: 3 }))).toHaveLength(3);
  });

  test.each<[string, messages.RequestMessage, string]>([
    ["an unknown path", { ...request, path: "no/such/thing" }, "unavailable"],
    ["a credit above 2^31", { ...request, credit: 2 ** 31 + 1 }, "protocol"],
    ["a payload that is no msgpack", { ...request, payload: frame("c1") }, "protocol"],
  ])("%s costs only its stream", async (_name, bad, code) => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    peer.send((writer) => (messages.encodeRequest(writer, 1, bad), messages.encodeRequest(writer, 2, request)));
    await eventually(
      "both endings",
      () => peer.frames.filter(({ type }) => type === frameTypes.END || type === frameTypes.ERROR).length === 2,
    );
    expect(endings.decodeError(peer.frames.find(({ id }) => id === 1)?.body ?? Buffer.alloc(0)).code).toBe(code);
    expect(peer.frames.filter(({ id }) => id === 2).map(({ type }) => type)).toEqual([
      frameTypes.ITEMS,
      frameTypes.END,
    ]);
    expect(peer.isClosed).toBe(false);
  });

  test("a request without credit gets no item before the first CREDIT, and its end without any more", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    peer.send(
      (writer) => (
        messages.encodeRequest(writer, 1, { ...request, credit: 0 }),
        messages.encodeRequest(writer, 2, request)
      ),
    );
    await eventually("the other's end", () => peer.frames.some(({ id, type }) => id === 2 && type === frameTypes.END));
    expect(peer.frames.filter(({ id }) => id === 1)).toEqual([]);
    expect(pair.yielded()).toBe(2);
    peer.send((writer) => messages.encodeCredit(writer, 1, 1));
    await eventually("its end", () => peer.frames.some(({ id, type }) => id === 1 && type === frameTypes.END));
  });

  test("a refused request leaves a line that says whose it was, one that cannot be read a line without ids", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    const headers = {
      "request-id": "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b",
      "x-request-id": "mine",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    peer.send((writer) =>
      messages.encodeRequest(writer, 1, { ...request, headers, path: "no/such/thing", attempt: 2 }),
    );
    peer.sendBytes(frame("0000000202000000020005"));
    const [known, unknown] = await eventually("both lines", () => {
      const lines = pair.workerLines.filter(({ message }) => message === "request refused");
      return lines.length === 2 && lines;
    });
    expect(known).toMatchObject({
      level: "WARN",
      request_id: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b",
      x_request_id: "mine",
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      parent_id: "b7ad6b7169203331",
      attempt: 2,
      instance_id: pair.server.instanceId,
      "error.type": "unavailable",
    });
    expect(unknown).toMatchObject({ level: "WARN", "error.type": "protocol" });
    expect(unknown).not.toHaveProperty("request_id");
  });

  test("a truncated REQUEST costs only its stream", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(Buffer.concat([greeting(), frame("0000000202000000010005")]));
    const answer = await eventually("the error", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
    expect(answer.id).toBe(1);
    expect(endings.decodeError(answer.body).code).toBe("protocol");
  });

  test("a peer that never reads holds its engine and little memory", async () => {
    await using pair = await startPair();
    const socket = connect(pair.port, "127.0.0.1");
    socket.pause();
    socket.write(greeting());
    const writer = new FrameWriter();
    const endless = { ...request, payload: encodePayload({ count: 10_000_000, size: 1_000 }), credit: 2 ** 31 - 1 };
    messages.encodeRequest(writer, 1, endless);
    socket.write(Buffer.concat(writer.take()));
    const held = await eventually("the engine being held", async () => {
      const before = pair.yielded();
      await collect(pair.client.generate({ count: 1 }));
      return before > 1 && pair.yielded() === before + 1 && before;
    });
    expect(held).toBeLessThan(20_000);
    socket.destroy();
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("a thousand idle connections end by themselves and leave room for others", async () => {
    await using pair = await startPair({ worker: { tcpConnectTimeoutMs: 2_000 } });
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
    const peers = await flood(pair.port, 1_000);
    expect(await collect(pair.client.generate({ count: 3 }))).toHaveLength(3);
    await eventually("all of them ending", () => peers.every(({ isClosed }) => isClosed));
    const other = await pair.openClient();
    expect(await collect(other.generate({ count: 3 }))).toHaveLength(3);
  });

  test("any number of connections that say nothing take no place of a caller: the oldest of them go", async () => {
    await using pair = await startPair({ worker: { tcpConnectTimeoutMs: 600_000, tcpMaxConnections: 2 } });
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
    const peers = await flood(pair.port, 1_200);
    await eventually("the oldest being closed", () => peers.filter(({ isClosed }) => isClosed).length === 176);
    expect(peers.slice(0, 176).every(({ isClosed }) => isClosed)).toBe(true);
    const line = pair.workerLines.find(({ message }) => message === "connection refused");
    expect(line).toMatchObject({ level: "WARN", reason: expect.stringContaining("more than 1024 connections") });
    const other = await pair.openClient();
    expect(await collect(other.generate({ count: 3 }))).toHaveLength(3);
    expect(await collect(pair.client.generate({ count: 3 }))).toHaveLength(3);
    for (const peer of peers) peer[Symbol.dispose]();
  });

  test("a peer that falls silent after HELLO is found by heartbeat", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    await eventually("the end", () => peer.isClosed);
    expect(peer.frames.some(({ type }) => type === frameTypes.PING)).toBe(true);
    expect(endings.decodeError(peer.frames.at(-1)?.body ?? Buffer.alloc(0)).message).toContain("nothing heard");
  });
});
