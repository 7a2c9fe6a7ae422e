// Who is waited for although it says nothing.
import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, test } from "vitest";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { Liveness } from "../../../packages/runtime/src/net/liveness.ts";
import { Patience } from "../../../packages/runtime/src/net/patience.ts";
import { createWitness, type Witness } from "../../../packages/runtime/src/net/witness.ts";

interface Seen {
  readonly witness: Witness;
  beat: number | undefined;
}

async function withPort(
  use: (port: number) => Promise<void>,
  onConnection: (socket: Socket) => void = () => undefined,
): Promise<void> {
  const server = createServer((socket) => onConnection(socket.on("error", () => undefined).resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await use((server.address() as AddressInfo).port);
  await new Promise((resolve) => server.close(resolve));
}

function see(port: number): Seen {
  const seen: Seen = {
    beat: 1,
    witness: createWitness({ host: "127.0.0.1", port, readBeat: () => Promise.resolve(seen.beat) }),
  };
  return seen;
}

test("a beat that grows at a port that accepts tells of life, once for each time it has grown", () =>
  withPort(async (port) => {
    const seen = see(port);
    seen.witness.look();
    expect(await seen.witness.vouches()).toBe(false);
    seen.beat = 2;
    expect(await seen.witness.vouches()).toBe(true);
    expect(await seen.witness.vouches()).toBe(false);
    seen.beat = undefined;
    expect(await seen.witness.vouches()).toBe(false);
  }));

test("what has grown before the peer was heard the last time tells of nothing", () =>
  withPort(async (port) => {
    const seen = see(port);
    seen.witness.look();
    seen.beat = 2;
    seen.witness.forget();
    seen.witness.look();
    expect(await seen.witness.vouches()).toBe(false);
  }));

test("a beat that grows where no port accepts is that of a machine that cannot be reached", async () => {
  let free = 0;
  await withPort(async (port) => void (free = port));
  const seen = see(free);
  seen.witness.look();
  seen.beat = 2;
  expect(await seen.witness.vouches()).toBe(false);
});

test.each<[string, (socket: Socket) => void]>([
  ["says a word", (socket) => socket.once("data", () => void socket.write("HELLO"))],
  ["hangs up", (socket) => socket.once("data", () => void socket.end())],
])("a beat that grows where somebody %s is that of a peer that is not busy: its connection is lost", (_what, answer) =>
  withPort(async (port) => {
    const seen = see(port);
    seen.witness.look();
    seen.beat = 2;
    expect(await seen.witness.vouches()).toBe(false);
  }, answer),
);

test("a beat that cannot be read, because what tells of it does not answer, tells of nothing after a while", () =>
  withPort(async (port) => {
    const never = new Promise<never>(() => undefined);
    const witness = createWitness({ host: "127.0.0.1", port, readBeat: () => never });
    witness.look();
    expect(await witness.vouches()).toBe(false);
  }));

const silent = new RuntimeError("disconnected", "nothing heard");
const alive: Witness = { look: () => undefined, forget: () => undefined, vouches: () => Promise.resolve(true) };

// A peer that has said nothing for three intervals.
function startSilence(intervalMs: number): Liveness {
  const liveness = new Liveness("10.0.0.7:1", intervalMs);
  for (let interval = 0; interval < 4; interval += 1) liveness.endInterval({ isPaused: false, frame: undefined });
  return liveness;
}

test.each([
  ["without a witness", 1_000, undefined, silent, false],
  ["that breaks the rules", 1_000, alive, new RuntimeError("protocol", "a frame was late"), false],
  ["that does not read its answers", 1_000, alive, silent, true],
  ["that has been silent for a minute", 20_000, alive, silent, false],
])("a peer %s is dead at once", (_name, intervalMs, witness, failure, isPaused) => {
  let isDead = false;
  const patience = new Patience(startSilence(intervalMs), witness, () => expect.unreachable());
  void patience.judge(failure, isPaused, () => (isDead = true));
  expect(isDead).toBe(true);
});

test("a peer that lives is waited for until it is heard, which is told once", async () => {
  const liveness = startSilence(1_000);
  const told: boolean[] = [];
  const patience = new Patience(liveness, alive, (isStalled) => told.push(isStalled));
  for (let time = 0; time < 3; time += 1) await patience.judge(silent, false, () => expect.unreachable());
  expect(told).toEqual([true]);
  liveness.heard();
  patience.heard();
  patience.heard();
  expect(told).toEqual([true, false]);
});

test("a peer that is heard while it is asked about is not dead, whatever is known of it", async () => {
  const liveness = startSilence(1_000);
  const asked = Promise.withResolvers<boolean>();
  const patience = new Patience(liveness, { ...alive, vouches: () => asked.promise }, () => expect.unreachable());
  const judged = patience.judge(silent, false, () => expect.unreachable());
  liveness.heard();
  asked.resolve(false);
  await judged;
});
