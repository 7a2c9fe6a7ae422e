// Records that cannot be read, removed or opened: each costs no more than itself.
import { readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeRecord } from "../../../packages/runtime/src/discovery/record-file.ts";
import { formatRecord, recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { fileSpace, follow, record, startedAt } from "./spaces.ts";
import { errorOf, expectAnotherLook, pathOf, refusing, said } from "./refusals.ts";

test("what cannot be removed from a directory stays, is said once per file, and hides nobody", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  const [temporary, dead] = [join(space.root, "v1/instances/.tmp_0123456789abcdef"), pathOf(space, record(9n))];
  await writeFile(temporary, "{");
  await writeFile(dead, formatRecord(record(9n)));
  for (const path of [temporary, dead]) await utimes(path, 1, 1);
  let isReadOnly = true;
  await using reader = await space.open({
    steps: refusing({ remove: () => (isReadOnly ? errorOf("EROFS") : undefined) }),
  });
  using seen = follow(reader);
  for (const id of [1n, 2n, 3n]) await expectAnotherLook(owner, seen, id);
  expect(seen.records.has(recordKey(record(9n)))).toBe(false);
  const lines = said(space, "left-over discovery file cannot be removed");
  expect(new Set(lines.map(({ path }) => path))).toEqual(new Set([temporary, dead]));
  expect(lines).toEqual([1, 2].map(() => expect.objectContaining({ level: "WARN", error: "EROFS: refused" })));
  isReadOnly = false;
  await eventually("the sweep", async () => (await readdir(join(space.root, "v1/instances"))).length === 3);
  expect(reader.condition).toEqual({ state: "listing" });
});

test("a record that was dead is in use again once its owner touches it, though it could not be removed", async () => {
  await using space = await fileSpace();
  await using reader = await space.open({ steps: refusing({ remove: () => errorOf("EACCES") }) });
  const path = pathOf(space, record(1n));
  await writeRecord(path, formatRecord(record(1n)));
  await utimes(path, 1, 1);
  using seen = follow(reader);
  await eventually("the word of it", () => said(space, "left-over discovery file cannot be removed").length === 1);
  await utimes(path, startedAt / 1000, startedAt / 1000);
  await eventually("its return", () => seen.records.size === 1);
});

test("a record that cannot be opened is said once, and read as soon as it can be", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  await owner.publish(record(1n));
  const closed = pathOf(space, record(1n));
  let isClosed = true;
  await using reader = await space.open({
    steps: refusing({ read: (path) => (isClosed && path === closed ? errorOf("EACCES") : undefined) }),
  });
  using seen = follow(reader);
  for (const id of [2n, 3n]) await expectAnotherLook(owner, seen, id);
  expect(said(space, "discovery record ignored")).toEqual([
    expect.objectContaining({ level: "WARN", path: closed, error: "EACCES: refused" }),
  ]);
  expect(seen.records.size).toBe(2);
  isClosed = false;
  await eventually("the record", () => seen.records.size === 3);
});

test("a record that is known stays in use while the next version of it cannot be opened", async () => {
  await using space = await fileSpace();
  await using owner = await space.open();
  let isClosed = false;
  await using reader = await space.open({
    steps: refusing({
      read: (path) => (isClosed && path === pathOf(space, record(1n)) ? errorOf("EMFILE") : undefined),
    }),
  });
  await owner.publish(record(1n));
  using seen = follow(reader);
  await eventually("the record", () => seen.records.size === 1);
  isClosed = true;
  await writeRecord(pathOf(space, record(1n)), formatRecord(record(1n)));
  await eventually("the word of it", () => said(space, "discovery record ignored").length === 1);
  await expectAnotherLook(owner, seen, 2n);
  expect([...seen.records.keys()].sort()).toEqual([record(1n), record(2n)].map(recordKey));
});

test("a broken record that is mended in place is read again", async () => {
  await using space = await fileSpace();
  const text = formatRecord(record(1n));
  const path = pathOf(space, record(1n));
  await using reader = await space.open();
  await writeFile(path, text.replace("instance_id", "instance-id"));
  using seen = follow(reader);
  await eventually("the word of it", () => said(space, "discovery record ignored").length === 1);
  await writeFile(path, text, { flag: "r+" }); // the same file, as long as before
  await eventually("the record", () => seen.records.size === 1);
});
