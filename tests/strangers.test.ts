// Who has to go when too many connections say nothing, and who stays.
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { createStrangers, type Strangers } from "../packages/runtime/src/strangers.ts";

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  readonly remotePort: number;
  isDestroyed = false;

  constructor(address: string, port: number) {
    super();
    this.remoteAddress = address;
    this.remotePort = port;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit("close");
  }
}

interface Fixture {
  readonly strangers: Strangers;
  /** Let one in. */
  readonly enter: (address: string) => Socket & FakeSocket;
  /** Ports of those that had to go, in order: the first connection has 1. */
  readonly gone: readonly number[];
}

function openFixture({ maxStrangers = 3, maxKnown = 2 } = {}): Fixture {
  const gone: number[] = [];
  const strangers = createStrangers({ maxStrangers, maxKnown, onCrowded: ({ remotePort }) => gone.push(remotePort ?? 0) });
  let port = 0;
  return {
    strangers,
    gone,
    enter(address) {
      port += 1;
      const socket = new FakeSocket(address, port) as unknown as Socket & FakeSocket; // all that is looked at
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
