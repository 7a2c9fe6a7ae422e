// A directory that is exchanged for a link between the look at it and the step in it: the step is taken in the directory that was looked at.
import { readdir, readlink, rename, rm, stat, symlink, utimes } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { directorySteps, touchFile, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import { formatRecord, recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { fileSpace, follow, namedPath, record, startedAt, type FileSpace } from "./spaces.ts";
import { fileOf, makeDocuments, makeTree, writeOld } from "./trees.ts";

interface Exchange {
  readonly kv: string;
  readonly steps: DirectorySteps;
  /** Where the directory is once a link has its place. */
  readonly aside: string;
  /** The next time that it is held, a link to the documents takes its place at once; `then` is done before anybody goes on. */
  arm(then?: () => Promise<void>): void;
  /** Put the directory back. Nothing behind the link has changed. */
  end(): Promise<void>;
}

// The documents have what looks like a record of one's own, a live one and a dead one.
async function exchange(space: FileSpace, part = "v1/instances"): Promise<Exchange> {
  const [kv, documents] = [await makeTree(space), await makeDocuments(space)];
  const [directory, aside] = [join(kv, part), join(space.root, "aside")];
  for (const id of [1n, 5n, 9n]) await writeOld(documents, fileOf(record(id)), formatRecord(record(id)));
  await utimes(join(documents, fileOf(record(5n))), startedAt / 1000, startedAt / 1000);
  const look = async (): Promise<unknown> => {
    const names = await readdir(documents);
    return Promise.all(names.map(async (name) => [name, (await stat(join(documents, name))).mtimeMs]));
  };
  const before = await look();
  let isExchanged = false;
  let armed: (() => Promise<void>) | undefined;
  return {
    kv,
    aside,
    arm: (then = async () => undefined) => void (armed = then),
    steps: {
      ...directorySteps,
      async hold(path) {
        const held = await directorySteps.hold(path);
        const then = namedPath(path) === directory ? armed : undefined;
        if (!then) return held;
        [armed, isExchanged] = [undefined, true];
        await rename(directory, aside);
        await symlink(documents, directory);
        await then();
        return held;
      },
    },
    async end() {
      expect(isExchanged).toBe(true);
      await rm(directory);
      await rename(aside, directory);
      expect(await look()).toEqual(before);
    },
  };
}

const never = 600_000;
const isLinux = process.platform === "linux";

// Elsewhere no directory can be held: docs/discovery.md says so.
describe.runIf(isLinux)("a bucket whose place a link has taken since it was looked at", () => {
  test("gets the record that is published, and loses the one that is withdrawn", async () => {
    await using space = await fileSpace();
    const its = await exchange(space);
    await using owner = await space.open({ root: its.kv, steps: its.steps, heartbeatMs: never });
    its.arm();
    const registration = await owner.publish(record(1n));
    expect(await readdir(its.aside)).toEqual([fileOf(record(1n))]);
    await its.end();
    its.arm();
    await registration[Symbol.asyncDispose]();
    expect(await readdir(its.aside)).toEqual([]);
    await its.end();
  });

  test("gets also what is not there and has to be made", async () => {
    await using space = await fileSpace();
    const its = await exchange(space, "v1");
    await using owner = await space.open({ root: its.kv, steps: its.steps, heartbeatMs: never });
    await rm(join(its.kv, "v1/instances"), { recursive: true });
    its.arm();
    await owner.publish(record(1n));
    expect(await readdir(join(its.aside, "instances"))).toEqual([fileOf(record(1n))]);
    await its.end();
  });

  test("has its record kept alive", async () => {
    await using space = await fileSpace();
    const its = await exchange(space);
    await using owner = await space.open({ root: its.kv, steps: its.steps });
    await owner.publish(record(1n));
    const file = join(its.aside, fileOf(record(1n)));
    its.arm(() => utimes(file, 1, 1));
    await eventually("the touch", async () => (await stat(file).catch(() => undefined))?.mtimeMs === startedAt);
    await its.end();
  });

  test("is the one that is listed, read and swept", async () => {
    await using space = await fileSpace();
    const its = await exchange(space);
    for (const id of [2n, 9n])
      await writeOld(join(its.kv, "v1/instances"), fileOf(record(id)), formatRecord(record(id)));
    await utimes(join(its.kv, "v1/instances", fileOf(record(2n))), startedAt / 1000, startedAt / 1000);
    await using reader = await space.open({ root: its.kv, steps: its.steps });
    its.arm();
    using seen = follow(reader);
    await seen.ready;
    expect([...seen.records.keys()]).toEqual([recordKey(record(2n))]);
    expect(await readdir(its.aside)).toEqual([fileOf(record(2n))]);
    await its.end();
  });
});

test.runIf(isLinux)("what a discovery has held it lets go", async () => {
  await using space = await fileSpace();
  const owner = await space.open();
  const registration = await owner.publish(record(1n));
  const seen = follow(owner);
  await eventually("the record", () => seen.records.size === 1);
  seen[Symbol.dispose]();
  await registration[Symbol.asyncDispose]();
  await owner[Symbol.asyncDispose]();
  const held = async (): Promise<string[]> => {
    const links = (await readdir("/proc/self/fd")).map((descriptor) => readlink(`/proc/self/fd/${descriptor}`));
    return (await Promise.all(links.map((link) => link.catch(() => "")))).filter((path) => path.startsWith(space.root));
  };
  await eventually("nothing being held", async () => (await held()).length === 0);
});

test("a file that is a link or a socket by the time it is opened is told as what it is, as if it had been one before", async () => {
  await using space = await fileSpace();
  const [link, socket] = [join(space.root, "link"), join(space.root, "socket")];
  await symlink("socket", link);
  const server = createServer();
  await new Promise<void>((listening) => server.listen(socket, listening));
  for (const step of [directorySteps.read, (path: string) => touchFile(path, "", startedAt)]) {
    await expect(step(link)).rejects.toThrow(/^it is a symbolic link, which is not followed$/);
    await expect(step(socket)).rejects.toThrow(/^it is not a regular file$/);
    await expect(step(space.root)).rejects.toThrow(/^it is not a regular file$/);
  }
  server.close();
});
