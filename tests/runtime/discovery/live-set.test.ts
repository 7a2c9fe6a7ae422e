// Which instances of an endpoint are in use.
import { expect, test } from "vitest";
import type { Change } from "../../../packages/runtime/src/discovery/discovery.ts";
import { openLiveSet, type LiveSet } from "../../../packages/runtime/src/discovery/live-set.ts";
import { createMemoryDiscovery, createMemorySpace } from "../../../packages/runtime/src/discovery/memory.ts";
import { recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { createLogger } from "../../support/logger.ts";
import { record } from "./spaces.ts";

const address = { namespace: "dynamo", component: "backend", endpoint: "generate" };

test("the line about an instance that joins shows its address as it is dialled", async () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const discovery = createMemoryDiscovery(createMemorySpace(), log);
  using _live = openLiveSet({ discovery, address, log });
  for (const [id, tcp] of [
    [1n, "[::1]:39023/1/dynamo/backend/generate"],
    [2n, "127.0.0.1:4000/2/dynamo/backend/generate"],
  ] as const)
    await discovery.publish({ ...record(id), transport: { tcp } });
  expect(lines.map((line) => line["address"])).toEqual(["[::1]:39023", "127.0.0.1:4000"]);
});

test("lines about instances that come and go together count as they go by, and those in use are in the order of their ids", async () => {
  const lines: Record<string, unknown>[] = [];
  const { tables } = createMemorySpace();
  const log = createLogger({ sink: (line) => lines.push(line) });
  using live = openLiveSet({ discovery: createMemoryDiscovery({ tables }, log), address, log });
  const change = (id: bigint, isThere: boolean): Change => ({
    key: recordKey(record(id)),
    record: isThere ? record(id) : undefined,
  });
  tables["v1/instances"].apply([change(10n, true), change(9n, true)]);
  expect(live.instances.map(({ id }) => id)).toEqual(["9", "10"]);
  tables["v1/instances"].apply([change(3n, true), change(9n, false), change(10n, false)]);
  expect(live.instances.map(({ id }) => id)).toEqual(["3"]);
  expect(lines.map(({ message, instance_id, instances }) => [message, instance_id, instances])).toEqual([
    ["instance joined", "10", 1],
    ["instance joined", "9", 2],
    ["instance joined", "3", 3],
    ["instance left", "9", 2],
    ["instance left", "10", 1],
  ]);
});

test("whoever looks at those in use while one leaves sees none too few afterwards", async () => {
  const { tables } = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  const discovery = createMemoryDiscovery({ tables }, log);
  const seen: string[][] = [];
  const idsOf = (set: LiveSet): string[] => set.instances.map(({ id }) => id);
  using live: LiveSet = openLiveSet({ discovery, address, log, onLeave: () => seen.push(idsOf(live)) });
  await Promise.resolve(); // until then a program hears nothing
  const change = (id: bigint, isThere: boolean): Change => ({
    key: recordKey(record(id)),
    record: isThere ? record(id) : undefined,
  });
  tables["v1/instances"].apply([change(1n, true)]);
  tables["v1/instances"].apply([change(1n, false), change(2n, true)]);
  expect([seen, idsOf(live)]).toEqual([[[]], ["2"]]);
});

test("a set of admitted instances has those that are admitted and there, whichever came first", async () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const discovery = createMemoryDiscovery(createMemorySpace(), log);
  using live = openLiveSet({ discovery, address, log, admittedOnly: true });
  await discovery.publish(record(1n));
  live.admit("1");
  live.admit("2");
  expect(live.instances.map(({ id }) => id)).toEqual(["1"]);
  const waiting = live.waitFor(2);
  for (const id of [3n, 2n]) await discovery.publish(record(id));
  expect((await waiting).map(({ id }) => id)).toEqual(["1", "2"]);
  live.dismiss("1");
  live.dismiss("3");
  expect([live.has("1"), live.has("2"), live.has("3")]).toEqual([false, true, false]);
  expect(lines.map(({ message, instance_id }) => [message, instance_id])).toEqual([
    ["instance joined", "1"],
    ["instance joined", "2"],
    ["instance left", "1"],
  ]);
});
