// Who has to go when too many connections say nothing, and who stays.
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { createStrangers, type Strangers } from "../../packages/runtime/src/strangers.ts";

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  isDestroyed = false;

  constructor(address: string, port: number, localAddress: string) {
    super();
    this.remoteAddress = address;
    this.remotePort = port;
    this.localAddress = localAddress;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit("close");
  }
}

interface Fixture {
  readonly strangers: Strangers;
  /** Let one in, by default from a port of its own. */
  readonly enter: (address: string, from?: { readonly port?: number; readonly to?: string }) => Socket & FakeSocket;
  /** Ports of those that had to go, in order: the first connection has 1. */
  readonly gone: readonly number[];
}

function openFixture({ maxStrangers = 3, maxKnown = 2 } = {}): Fixture {
  const gone: number[] = [];
  const strangers = createStrangers({
    maxStrangers,
    maxKnown,
    onCrowded: ({ remotePort }) => gone.push(remotePort ?? 0),
  });
  let port = 0;
  return {
    strangers,
    gone,
    enter(address, from) {
      port += 1;
      const socket = new FakeSocket(address, from?.port ?? port, from?.to ?? "10.0.0.100") as unknown as Socket &
        FakeSocket; // all that is looked at
      strangers.enter(socket);
      return socket;
    },
  };
}

test("a stranger too many sends the oldest away", () => {
  const { enter, gone } = openFixture();
  const sockets = Array.from({ length: 5 }, () => enter("10.0.0.1"));
  expect(gone).toEqual([1, 2]);
  expect(sockets.map(({ isDestroyed }) => isDestroyed)).toEqual([true, true, false, false, false]);
});

test("the one who goes is of the address that has the most, however long others wait", () => {
  const { enter, gone } = openFixture();
  enter("10.0.0.2");
  for (let count = 0; count < 10; count += 1) enter("10.0.0.1");
  expect(gone).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
});

test("those who have shown what they are here for are not sent away, and do not count as strangers", () => {
  const { strangers, enter, gone } = openFixture();
  for (let count = 0; count < 2; count += 1) expect(strangers.admit(enter("10.0.0.1"))).toBe(true);
  for (let count = 0; count < 3; count += 1) enter("10.0.0.1");
  expect(gone).toEqual([]);
  enter("10.0.0.1");
  expect(gone).toEqual([3]);
});

test("there are no more of them than there may be, and there is room again when one has gone", () => {
  const { strangers, enter } = openFixture();
  const [first] = [enter("a"), enter("b")].map((socket) => {
    expect(strangers.admit(socket)).toBe(true);
    return socket;
  });
  const third = enter("c");
  expect(strangers.admit(third)).toBe(false);
  third.destroy();
  first?.destroy();
  expect(strangers.admit(enter("d"))).toBe(true);
});

test("a connection that has gone takes no place, whatever is said of it later", () => {
  const { strangers, enter, gone } = openFixture();
  for (let count = 0; count < 100; count += 1) {
    const socket = enter("10.0.0.1");
    socket.destroy();
    expect(strangers.admit(socket)).toBe(true);
  }
  for (let count = 0; count < 3; count += 1) enter("10.0.0.1");
  expect(gone).toEqual([]);
});

test("connections from one port to several addresses of ours are told apart, and all of them are forgotten when they have gone", () => {
  const { strangers, enter, gone } = openFixture();
  for (let count = 0; count < 10; count += 1) {
    const both = ["10.0.0.100", "10.0.0.101"].map((to) => enter("10.0.0.1", { port: 7, to }));
    expect(both.map((socket) => strangers.admit(socket))).toEqual([true, true]);
    const third = enter("10.0.0.1");
    expect(strangers.admit(third)).toBe(false);
    for (const socket of [...both, third]) socket.destroy();
    for (const to of ["10.0.0.100", "10.0.0.101"]) enter("10.0.0.1", { port: 7, to }).destroy();
  }
  for (let count = 0; count < 3; count += 1) enter("10.0.0.1");
  expect(gone).toEqual([]);
});

test("one that comes from the port of another, before the end of that is told, takes its place", () => {
  const { strangers, enter, gone } = openFixture();
  for (let count = 0; count < 10; count += 1) {
    const [first, second] = [enter("10.0.0.1", { port: 7 }), enter("10.0.0.1", { port: 7 })];
    first.destroy();
    expect(strangers.admit(second)).toBe(true);
    const third = enter("10.0.0.1", { port: 7 });
    second.destroy();
    expect(strangers.admit(third)).toBe(true);
    expect(strangers.admit(enter("10.0.0.1", { port: 8 }))).toBe(true);
    const fourth = enter("10.0.0.1");
    expect(strangers.admit(fourth)).toBe(false);
    for (const socket of [third, fourth, enter("10.0.0.1", { port: 8 })]) socket.destroy();
  }
  for (let count = 0; count < 3; count += 1) enter("10.0.0.1");
  expect(gone).toEqual([]);
});
