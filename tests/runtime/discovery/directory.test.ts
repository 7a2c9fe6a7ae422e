// What a discovery directory does to those who listen, and what its troubles cost.
import { mkdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { createTroubles } from "../../../packages/runtime/src/condition.ts";
import { createNotifier } from "../../../packages/runtime/src/discovery/notifier.ts";
import { directorySteps, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import { encodeFileName } from "../../../packages/runtime/src/discovery/record-file.ts";
import { formatRecord, recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { fileSpace, follow, record, replacePath, startedAt, ttlMs } from "./spaces.ts";

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
  const [first, second] = [1n, 2n].map((id) =>
    join(space.root, "v1/instances", encodeFileName(recordKey(record(id)))),
  ) as [string, string];
  await spoil(first);
  for (let round = 0; round < 3; round += 1) {
    await rm(second);
    await eventually("the other's return", async () => stat(second).catch(() => false));
  }
  const said = space.lines.filter(({ message }) => message === "discovery record cannot be kept alive");
  expect(said).toEqual([
    expect.objectContaining({
      level: "WARN",
      key: recordKey(record(1n)),
      error: "it is a symbolic link, which is not followed",
    }),
  ]);
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
  expect(space.lines).toContainEqual(
    expect.objectContaining({ level: "ERROR", message: "listener of discovery failed" }),
  );
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
  const [kv, away, file] = ["kv", "away", "file"].map((name) => join(space.root, name)) as [string, string, string];
  await using reader = await space.open({ root: kv });
  using watch = follow(reader);
  await watch.ready;
  await writeFile(file, "");
  await rename(kv, away);
  await replacePath(file, kv);
  const failures = (): unknown[] => space.lines.filter(({ message }) => message === "discovery is degraded");
  await eventually("the warning", () => failures().length > 0);
  await replacePath(away, kv);
  await eventually("the return", () => space.lines.some(({ message }) => message === "discovery works again"));
  expect(failures()).toHaveLength(1);
  await reader.publish(record(1n));
  await eventually("the record", () => watch.records.size === 1);
});

// Counts what is asked of the file system about files of a bucket.
function counting(): { readonly steps: DirectorySteps; readonly counts: { list: number; stat: number; read: number } } {
  const counts = { list: 0, stat: 0, read: 0 };
  const count =
    <Result>(name: keyof typeof counts, step: (path: string) => Promise<Result>) =>
    (path: string): Promise<Result> => ((counts[name] += 1), step(path));
  const { list, stat, read } = directorySteps;
  return {
    steps: { ...directorySteps, list: count("list", list), stat: count("stat", stat), read: count("read", read) },
    counts,
  };
}

test("a join or a leave is looked at alone, however many records there are", async () => {
  await using space = await fileSpace();
  await using owner = await space.open({ heartbeatMs: 600_000 });
  for (let id = 1n; id <= 200n; id += 1n) await owner.publish(record(id));
  const { steps, counts } = counting();
  await using reader = await space.open({ steps, relistMs: 600_000, heartbeatMs: 600_000 });
  using watch = follow(reader);
  await eventually("all", () => watch.records.size === 200);
  await owner.publish(record(1_000n)); // until its own files are told of
  await eventually("one more", () => watch.records.size === 201);
  const before = { ...counts };
  const last = await owner.publish(record(1_001n));
  await eventually("the join", () => watch.records.size === 202);
  await last[Symbol.asyncDispose]();
  await eventually("the leave", () => watch.records.size === 201);
  expect([counts.list - before.list, counts.read - before.read]).toEqual([0, 1]);
  expect(counts.stat - before.stat).toBeLessThan(20); // its own, the temporary one, and what the one before has left to tell
});

test("a listing looks at nobody who is known to live, and at all whose time is up", async () => {
  await using space = await fileSpace();
  await using owner = await space.open({ heartbeatMs: 600_000 });
  for (let id = 1n; id <= 50n; id += 1n) await owner.publish(record(id));
  let now = Date.now();
  const { steps, counts } = counting();
  await using reader = await space.open({ steps, now: () => now, heartbeatMs: 600_000 });
  using watch = follow(reader);
  await eventually("all", () => watch.records.size === 50);
  const anotherListing = async (): Promise<void> => {
    const { list } = counts;
    await eventually("two listings", () => counts.list >= list + 2);
  };
  await anotherListing();
  const { stat } = counts;
  await anotherListing();
  expect(counts.stat).toBe(stat);
  now += 2 * ttlMs;
  await eventually("their end", () => watch.records.size === 0);
  expect(counts.stat).toBe(stat + 50);
});

test("a process that is stopped while it looks takes nobody for dead", async () => {
  await using space = await fileSpace();
  await using owner = await space.open({ heartbeatMs: 600_000 });
  await owner.publish(record(1n));
  let now = Date.now();
  const stat: DirectorySteps["stat"] = async (path) => {
    const found = await directorySteps.stat(path);
    now += 2 * ttlMs; // between the answer and what is made of it
    return found;
  };
  await using reader = await space.open({ steps: { ...directorySteps, stat }, now: () => now });
  using watch = follow(reader);
  await watch.ready;
  expect(watch.records.size).toBe(1);
});

test("records of a directory that takes the place of another are read anew, names that are known too", async () => {
  await using space = await fileSpace();
  await using owner = await space.open({ heartbeatMs: 600_000 });
  await owner.publish(record(1n));
  await using reader = await space.open({ heartbeatMs: 600_000 });
  using watch = follow(reader);
  await eventually("the record", () => watch.records.size === 1);
  const [bucket, other] = [join(space.root, "v1/instances"), join(space.root, "other")];
  const moved = { ...record(1n), transport: { tcp: "127.0.0.1:4001" } };
  await mkdir(other);
  await writeFile(join(other, encodeFileName(recordKey(moved))), formatRecord(moved));
  await replacePath(other, bucket);
  await eventually("the other record", () => isDeepStrictEqual([...watch.records.values()], [moved]));
});

test("a directory that takes the name of another is watched anew, though it may have its inode, too", async () => {
  await using space = await fileSpace();
  const heard: (string | undefined)[] = [];
  const events: ((event: string, name: string | null) => void)[] = [];
  const watch: DirectorySteps["watch"] = (path, onEvent) => (events.push(onEvent), directorySteps.watch(path, onEvent));
  const silence = createTroubles({ now: () => startedAt, onFirst: () => undefined, onOver: () => undefined });
  using notifier = createNotifier({
    directory: space.root,
    steps: { watch },
    silence,
    onChange: (name) => heard.push(name),
  });
  notifier.follow(7);
  events[0]?.("rename", "a-record");
  notifier.follow(7);
  expect(events).toHaveLength(1);
  events[0]?.("rename", basename(space.root));
  notifier.follow(7);
  expect(events).toHaveLength(2);
  expect(heard).toEqual(["a-record", undefined]);
});
