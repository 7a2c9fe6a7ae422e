// What a discovery directory does to those who listen, and what its troubles cost.
import { mkdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { encodeFileName } from "../packages/runtime/src/discovery/record-file.ts";
import { recordKey } from "../packages/runtime/src/discovery/records.ts";
import { eventually } from "./cluster.ts";
import { fileSpace, follow, record, startedAt } from "./discovery-spaces.ts";

// Replaces what is at `path` by a link to itself, in one step: all that is done with it fails.
async function spoil(path: string): Promise<void> {
  await symlink(basename(path), `${path}-loop`);
  await rename(`${path}-loop`, path);
}

test("a record that cannot be touched costs the others nothing, and is said once", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  await owner.publish(record(1n));
  await owner.publish(record(2n));
  const [first, second] = [1n, 2n].map((id) => join(space.root, "v1/instances", encodeFileName(recordKey(record(id))))) as [string, string];
  await spoil(first);
  for (let round = 0; round < 3; round += 1) {
    await rm(second);
    await eventually("the other's return", async () => stat(second).catch(() => false));
  }
  const said = space.lines.filter(({ message }) => message === "discovery record cannot be kept alive");
  expect(said).toEqual([expect.objectContaining({ level: "WARN", key: recordKey(record(1n)), error: expect.stringContaining("ELOOP") })]);
});

test("watchers of a bucket share its listing, and one that throws costs the others nothing", async () => {
  await using space = await fileSpace();
  await using reader = await space.open();
  using broken = reader.watch("v1/instances", () => {
    throw new Error("not my day");
  });
  using first = follow(reader);
  await Promise.all([broken.ready, first.ready]);
  using late = follow(reader);
  await reader.publish(record(1n));
  await eventually("the record", () => first.records.size === 1 && late.records.size === 1);
  expect([...late.records.values()][0]).toBe([...first.records.values()][0]);
  expect(space.lines).toContainEqual(expect.objectContaining({ level: "ERROR", message: "listener of discovery failed" }));
});

test("a listener that left hears no more, and a later one starts anew", async () => {
  await using space = await fileSpace();
  await using reader = await space.open();
  const gone = follow(reader);
  await gone.ready;
  gone[Symbol.dispose]();
  await reader.publish(record(1n));
  using watch = follow(reader);
  await eventually("the record", () => watch.records.size === 1);
  expect(gone.heard).toEqual([]);
});

test("heartbeats of others wake nobody", async () => {
  await using space = await fileSpace();
  let [beats, looks] = [0, 0];
  await using owner = await space.open({ heartbeatMs: 1, now: () => ((beats += 1), startedAt) });
  await owner.publish(record(1n));
  await using reader = await space.open({ relistMs: 600_000, now: () => ((looks += 1), startedAt) });
  using watch = follow(reader);
  await eventually("the record", () => watch.records.size === 1);
  const [beatsBefore, looksBefore] = [beats, looks];
  await eventually("many beats", () => beats > beatsBefore + 200);
  expect(looks - looksBefore).toBeLessThan(3);
  await owner.publish(record(2n));
  await eventually("news", () => watch.records.size === 2);
});

test("a directory that cannot be used is refused at once", async () => {
  await using space = await fileSpace();
  const file = join(space.root, "file");
  await writeFile(file, "");
  const opening = space.open({ root: join(file, "below") });
  await expect(opening).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("ENOTDIR") });
});

test("one that goes away later is said once, and its return too", async () => {
  await using space = await fileSpace();
  const kv = join(space.root, "kv");
  await mkdir(join(space.root, "real"));
  await symlink("real", kv);
  await using reader = await space.open({ root: kv });
  using watch = follow(reader);
  await watch.ready;
  await spoil(kv);
  const failures = (): unknown[] => space.lines.filter(({ message }) => message === "discovery is degraded");
  await eventually("the warning", () => failures().length > 0);
  await symlink("real", `${kv}-again`);
  await rename(`${kv}-again`, kv);
  await eventually("the return", () => space.lines.some(({ message }) => message === "discovery works again"));
  expect(failures()).toHaveLength(1);
  await reader.publish(record(1n));
  await eventually("the record", () => watch.records.size === 1);
});
