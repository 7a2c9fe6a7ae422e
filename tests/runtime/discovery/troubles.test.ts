// What a file system can refuse to discovery, step by step, and that no step takes more than itself with it.
import { readdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { directorySteps, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { renderMetrics } from "../../../packages/runtime/src/internal.ts";
import { eventually } from "../../support/cluster.ts";
import { card, fileSpace, follow, record, startedAt } from "./spaces.ts";
import { errorOf, expectAnotherLook, pathOf, refusing, said } from "./refusals.ts";

test.each(["EMFILE", "ENOSPC"])(
  "where changes cannot be watched (%s), records are listed all the same, and it is said once",
  async (code) => {
    await using space = await fileSpace();
    await using owner = await space.open();
    let [tries, looks] = [0, 0];
    const watch = (): Error => ((tries += 1), errorOf(code));
    const list = (): undefined => void (looks += 1);
    await using reader = await space.open({ steps: refusing({ watch, list }) });
    using seen = follow(reader);
    using _cards = reader.watch("v1/mdc", () => undefined);
    for (const id of [1n, 2n, 3n]) await expectAnotherLook(owner, seen, id);
    expect(reader.condition).toEqual({ state: "listing" });
    const silence = "changes of the discovery directory are not announced, it is listed all the same";
    expect(said(space, silence)).toEqual([
      expect.objectContaining({ level: "WARN", relist_ms: 20, error: `${code}: refused` }),
    ]);
    expect(said(space, "discovery is degraded")).toEqual([]);
    await eventually("more looks", () => looks > 30);
    expect(tries).toBeLessThanOrEqual(2 * (Math.log2(looks) + 2)); // of two buckets, more and more seldom
  },
);

test("a watch that fails later is opened again, and said to work once it has told of something", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  let opened = 0;
  const steps: DirectorySteps = {
    ...directorySteps,
    watch(path, onEvent) {
      opened += 1;
      const watcher = directorySteps.watch(path, onEvent);
      if (opened <= 3) setImmediate(() => watcher.emit("error", errorOf("EPERM")));
      return watcher;
    },
  };
  await using reader = await space.open({ steps });
  using seen = follow(reader);
  await eventually("a watch that lasts", () => opened === 4);
  await expectAnotherLook(owner, seen, 1n);
  await eventually(
    "the word of it",
    () => said(space, "changes of the discovery directory are announced again").length === 1,
  );
  expect(said(space, "changes of the discovery directory are not announced, it is listed all the same")).toHaveLength(
    1,
  );
});

test("a directory that cannot be listed is one line, a state and a metric, and so is its return", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  await owner.publish(record(1n));
  let isShut = false;
  await using reader = await space.open({ steps: refusing({ list: () => (isShut ? errorOf("EIO") : undefined) }) });
  const metrics = createRuntimeMetrics();
  const showMetric = async (): Promise<string | undefined> =>
    /^dynamo_discovery_degraded (\d+)$/m.exec((await renderMetrics(metrics.registry, "text")).body)?.[1];
  const counted = metrics.watchDiscovery(() => reader.condition);
  using seen = follow(reader);
  using cards = reader.watch("v1/mdc", () => undefined);
  await cards.ready;
  await eventually("the record", () => seen.records.size === 1);
  expect(await showMetric()).toBe("0");
  isShut = true;
  await eventually("the trouble", () => reader.condition.state === "degraded");
  const since = new Date(startedAt).toISOString();
  expect(reader.condition).toEqual({
    state: "degraded",
    reason: "the directory cannot be listed: EIO: refused",
    since,
  });
  expect(await showMetric()).toBe("1");
  expect(seen.records.size).toBe(1);
  isShut = false;
  await eventually("its end", () => said(space, "discovery works again").length === 1);
  expect(reader.condition).toEqual({ state: "listing" });
  expect(await showMetric()).toBe("0");
  expect(said(space, "discovery is degraded")).toEqual([
    expect.objectContaining({
      level: "WARN",
      directory: space.root,
      reason: "the directory cannot be listed: EIO: refused",
    }),
  ]);
  isShut = true;
  await eventually("the trouble again", () => reader.condition.state === "degraded");
  counted[Symbol.dispose]();
  expect(await showMetric()).toBe("0");
});

test("a bucket that is not there and cannot be made is an empty one, until somebody makes it", async () => {
  await using space = await fileSpace();
  await using reader = await space.open({ steps: refusing({ make: () => errorOf("EROFS") }) });
  using seen = follow(reader);
  using watch = reader.watch("v1/instances", () => undefined);
  await watch.ready;
  expect(reader.condition).toEqual({ state: "listing" });
  expect(await readdir(space.root)).toEqual([]);
  await using owner = await space.open();
  await owner.publish(record(1n));
  await eventually("the record", () => seen.records.size === 1);
});

test("a directory below one that takes no children is refused at once", async () => {
  await using space = await fileSpace();
  await symlink("nowhere", join(space.root, "link"));
  for (const root of [join(space.root, "link"), "/proc/nope"])
    await expect(space.open({ root })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(`${root} (--file-kv`),
    });
});

test("a directory that does not answer is refused at the start, and a trouble later", async () => {
  await using space = await fileSpace();
  let answered = Promise.withResolvers<void>();
  const steps: DirectorySteps = {
    ...directorySteps,
    list: (path) => answered.promise.then(() => directorySteps.list(path)),
  };
  await expect(space.open({ steps, answerMs: 30 })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("the discovery directory does not answer within 0.03 s"),
  });
  answered.resolve();
  await using reader = await space.open({ steps, answerMs: 200 });
  using seen = follow(reader);
  await reader.publish(record(1n));
  await eventually("the record", () => seen.records.size === 1);
  answered = Promise.withResolvers<void>();
  await eventually("the trouble", () => reader.condition.state === "degraded");
  expect(reader.condition).toMatchObject({
    reason: expect.stringContaining("the directory does not answer: nothing from"),
  });
  answered.resolve();
  await eventually("its end", () => reader.condition.state === "listing");
});

test("a record of one's own that cannot be touched is a trouble, until it is withdrawn", async () => {
  await using space = await fileSpace();
  await using owner = await space.open({ steps: refusing({ remove: () => errorOf("EACCES") }) });
  const registration = await owner.publish(record(1n));
  const path = pathOf(space, record(1n));
  await symlink("nowhere", `${space.root}/link`);
  await rename(`${space.root}/link`, path);
  await eventually("the trouble", () => owner.condition.state === "degraded");
  expect(owner.condition).toMatchObject({
    reason: "a record of this process cannot be kept alive: it is a symbolic link, which is not followed",
  });
  await expect(registration[Symbol.asyncDispose]()).rejects.toThrow("EACCES");
  expect(owner.condition).toEqual({ state: "listing" });
});

test("an end does not wait for a directory that does not answer", async () => {
  await using space = await fileSpace();
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const owner = await space.open({ withdrawMs: 20, steps: { ...directorySteps, remove: () => answered } });
  const registration = await owner.publish(record(1n));
  await owner.publish(record(2n));
  await expect(registration[Symbol.asyncDispose]()).rejects.toThrow("does not answer within 0.02 s");
  await expect(owner[Symbol.asyncDispose]()).rejects.toThrow("does not answer within 0.02 s");
  answer(); // who waits for ever never closes the directory it holds, and Node warns of that
});

test("a record that cannot be removed keeps no other from being removed", async () => {
  await using space = await fileSpace();
  const [first, second] = [record(1n), card(1n)];
  const owner = await space.open({
    steps: refusing({ remove: (path) => (path === pathOf(space, first) ? errorOf("EACCES") : undefined) }),
  });
  await owner.publish(first);
  await owner.publish(second);
  await expect(owner[Symbol.asyncDispose]()).rejects.toThrow("EACCES");
  expect(await readdir(join(space.root, "v1/mdc"))).toEqual([]);
});
