// Whom a caller dials, and how often: an instance that hangs up, one that moves, and two that say the same id.
import { expect, test } from "vitest";
import { createRedial } from "../../../packages/runtime/src/egress/redial.ts";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { encodeGoaway } from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { collect, failureOf, type RawPeer } from "../peers.ts";
import {
  seenBy,
  sendEnd,
  sendItem,
  startScriptedWorkers,
  type Behave,
  type ScriptedWorkers,
} from "../scripted-workers.ts";

const answering: Behave = (peer, id, asked) => {
  sendItem(peer, id, "a");
  sendEnd(peer, id, seenBy(asked));
};
const hangingUp = { behave: () => undefined, hangsUp: true } as const;
const ask = (workers: ScriptedWorkers): Promise<unknown[]> => collect(workers.client.generate({ count: 1 }));

test("an instance that fails is dialled again at once, then after waits that double up to a second, until it is of use", () => {
  let time = 0;
  const redial = createRedial({ now: () => time, random: () => 1 });
  const fail = (): number => {
    redial.failed("a");
    return redial.waitMs("a");
  };
  expect(Array.from({ length: 8 }, fail)).toEqual([0, 50, 100, 200, 400, 800, 1_000, 1_000]);
  expect(redial.waitMs("b")).toBe(0);
  time = 999;
  expect(redial.waitMs("a")).toBe(1);
  time = 1_000;
  expect(redial.waitMs("a")).toBe(0);
  redial.succeeded("a");
  expect([fail(), fail()]).toEqual([0, 50]);
});

test("waits are cut by up to a half at random, and of many instances the latest that failed are remembered", () => {
  const redial = createRedial({ now: () => 0, random: () => 0 });
  for (const key of ["a", "a", ...Array.from({ length: 1_023 }, (_, index) => `b${index}`)]) redial.failed(key);
  expect(redial.waitMs("a")).toBe(25);
  redial.failed("b1023");
  expect(redial.waitMs("a")).toBe(0);
});

test("an instance without a record that hangs up after its HELLO is dialled a few times and is out then", async () => {
  await using workers = await startScriptedWorkers(hangingUp);
  await workers.client.waitForInstances();
  workers.loseRegistry();
  await eventually("its leaving", () => workers.client.instances.length === 0);
  expect(workers.peers[0]?.length).toBeLessThanOrEqual(3);
});

test("requests for the only instance, which hangs up after its HELLO, fail at once and do not dial each time", async () => {
  await using workers = await startScriptedWorkers(hangingUp);
  const codes = new Set<string>();
  for (let index = 0; index < 300; index += 1) codes.add((await failureOf(ask(workers))).code);
  expect([...codes].filter((code) => code !== "disconnected")).toEqual(["cannot_connect"]);
  expect(workers.peers[0]?.length).toBeLessThan(60); // one a request without the waits
});

test("requests go elsewhere at once while an instance that hangs up is not dialled", async () => {
  await using workers = await startScriptedWorkers(hangingUp, { behave: answering });
  await workers.client.waitForInstances({ count: 2 });
  for (let index = 0; index < 60; index += 1) expect(await ask(workers)).toEqual([{ text: "a" }]);
  expect(workers.peers[0]?.length).toBeLessThan(20); // 30 without the waits, which double up to a second: 20 take seven
});

const requestsAt = (peers: readonly RawPeer[] = []): number =>
  peers.flatMap(({ frames }) => frames).filter(({ type }) => type === frameTypes.REQUEST).length;

test("an instance whose record moves gets its requests at the new address", async () => {
  const sayingB: Behave = (peer, id, asked) => (sendItem(peer, id, "b"), sendEnd(peer, id, seenBy(asked)));
  await using workers = await startScriptedWorkers(
    { behave: answering },
    { behave: sayingB, hello: { instance_id: "77" } },
  );
  const askFirst = (): Promise<unknown[]> => collect(workers.client.generate({ count: 1 }, { instanceId: "77" }));
  expect(await askFirst()).toEqual([{ text: "a" }]);
  workers.moveTo(1);
  expect([await askFirst(), await askFirst()]).toEqual([[{ text: "b" }], [{ text: "b" }]]);
  expect(workers.peers.map(requestsAt)).toEqual([1, 2]);
  expect(workers.lines.filter(({ message }) => message === "instance moved")).toMatchObject([
    { level: "INFO", instance_id: "77" },
  ]);
});

test("a record of another endpoint with an instance's id takes neither its requests nor its good name", async () => {
  const leaving: Behave = (peer, id, asked) => {
    sendItem(peer, id, "b");
    sendEnd(peer, id, seenBy(asked));
    peer.send((writer) => encodeGoaway(writer, "gone"));
    peer.socket.end();
  };
  await using workers = await startScriptedWorkers(
    { behave: answering },
    { behave: leaving, hello: { instance_id: "77" } },
  );
  const elsewhere = "dyn://test.other.generate";
  workers.moveTo(1, elsewhere);
  const other = workers.openClient(elsewhere);
  expect(await collect(other.generate({ count: 1 }))).toEqual([{ text: "b" }]);
  expect(await collect(workers.client.generate({ count: 1 }, { instanceId: "77" }))).toEqual([{ text: "a" }]);
  workers.loseRegistry();
  await eventually("its leaving", () => other.instances.length === 0);
  expect(workers.client.has("77")).toBe(true);
});
