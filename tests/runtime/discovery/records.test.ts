// Which files of a bucket count, which of them are ever removed, and how large a record may be.
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  directorySteps,
  maxRecordBytes,
  type DirectorySteps,
} from "../../../packages/runtime/src/discovery/directory.ts";
import { formatRecord, parseRecord, recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { card, fileSpace, follow, namedPath, record } from "./spaces.ts";
import { fileOf, lookAround, makeTree, owning, stranger, writeOld } from "./trees.ts";

test("of what is old only a record that is what its name says is removed, and an unfinished file of this user", async () => {
  await using space = await fileSpace();
  const kv = await makeTree(space);
  const bucket = join(kv, "v1/instances");
  await mkdir(join(bucket, "letters"));
  await utimes(join(bucket, "letters"), 1, 1);
  const theirs = ".tmp_00000000000000aa";
  const stays: Readonly<Record<string, string>> = {
    "thesis.txt": "precious",
    ".tmp_old": "precious",
    ".tmp_0123456789ABCDEF": "precious",
    ".bashrc": "precious",
    [theirs]: "{",
    [fileOf(record(1n))]: "precious",
    [fileOf(record(2n))]: formatRecord(record(3n)),
    "%E0%A4%A": formatRecord(record(4n)),
  };
  for (const [name, text] of Object.entries(stays)) await writeOld(bucket, name, text);
  for (const id of [5n, 6n]) await writeOld(bucket, fileOf(record(id)), formatRecord(record(id)));
  await writeOld(bucket, ".tmp_0123456789abcdef", "{");
  await using reader = await space.open({
    root: kv,
    steps: owning((path) => (path === join(bucket, theirs) ? stranger : undefined)),
  });
  using watch = follow(reader);
  await lookAround(space, kv, watch, 7n);
  await lookAround(space, kv, watch, 8n);
  const expected = [...Object.keys(stays), "letters", fileOf(record(7n)), fileOf(record(8n))];
  expect((await readdir(bucket)).sort()).toEqual(expected.sort());
  expect([...watch.records.keys()].sort()).toEqual([7n, 8n].map((id) => recordKey(record(id))));
  const said = space.lines.filter(({ message }) => message === "discovery record ignored");
  expect(said.map(({ path }) => String(path)).sort()).toEqual(
    ["letters", "thesis.txt", "%E0%A4%A", fileOf(record(1n)), fileOf(record(2n))]
      .map((name) => join(bucket, name))
      .sort(),
  );
});

describe("a record", () => {
  test("of more than 64 KiB is not even read, and said once", async () => {
    await using space = await fileSpace();
    const kv = await makeTree(space);
    const path = join(kv, "v1/instances", fileOf(record(1n)));
    await writeFile(path, formatRecord(record(1n)).padEnd(maxRecordBytes + 1));
    const asked: string[] = [];
    const read: DirectorySteps["read"] = (file) => (asked.push(namedPath(file)), directorySteps.read(file));
    await using reader = await space.open({ root: kv, steps: { ...directorySteps, read } });
    using watch = follow(reader);
    await lookAround(space, kv, watch, 2n);
    await lookAround(space, kv, watch, 3n);
    const said = space.lines.filter(({ message }) => message === "discovery record ignored");
    expect(said).toEqual([expect.objectContaining({ level: "WARN", path, error: "it has 65537 bytes, limit 65536" })]);
    expect(asked).not.toContain(path);
    await expect(directorySteps.read(path)).rejects.toThrow("it has 65537 bytes, limit 65536"); // also if it has grown since it was looked at
    await writeFile(path, formatRecord(record(1n)).padEnd(maxRecordBytes));
    await eventually("the record", () => watch.records.has(recordKey(record(1n))));
  });

  test("that nobody would read is not published", async () => {
    await using space = await fileSpace();
    await using owner = await space.open();
    const { card_json, ...rest } = card(1n);
    const large = { ...rest, card_json: { ...card_json, runtime_config: { text: "x".repeat(maxRecordBytes) } } };
    await expect(owner.publish(large)).rejects.toThrow(
      /cannot write discovery record .*: it has \d+ bytes, limit 65536/,
    );
    expect(await readdir(join(space.root, "v1/mdc"))).toEqual([]);
  });

  test.each([
    [
      "a model's name of 257 characters",
      formatRecord({ ...card(1n), card_json: { ...card(1n).card_json, display_name: "m".repeat(257) } }),
    ],
    ["nothing but brackets", "[".repeat(maxRecordBytes)],
    ["brackets in brackets", "[".repeat(maxRecordBytes / 2) + "]".repeat(maxRecordBytes / 2)],
    ["nothing", ""],
  ])("of %s is ignored with a line, and costs no other anything", async (_what, text) => {
    await using space = await fileSpace();
    const kv = await makeTree(space);
    await writeFile(join(kv, "v1/instances", fileOf(card(1n))), text);
    await using reader = await space.open({ root: kv });
    using watch = follow(reader);
    await lookAround(space, kv, watch, 2n);
    expect(watch.records.size).toBe(1);
    const said = space.lines.filter(({ message }) => message === "discovery record ignored");
    expect(said).toEqual([
      expect.objectContaining({ error: expect.stringMatching(/^a discovery record (?:is not JSON|lacks a valid )/) }),
    ]);
  });

  test.each(["m", "😀"])("of a model whose name has 256 characters %s is read", async (character) => {
    await using space = await fileSpace();
    await using owner = await space.open();
    await owner.publish({ ...card(1n), card_json: { ...card(1n).card_json, display_name: character.repeat(256) } });
    using watch = follow(owner, "v1/mdc");
    await eventually("the card", () => watch.records.size === 1);
  });
});

test("the id of a record is its own, whatever else in it is called so", () => {
  const inner = '"instance_id":16110234078175185134,"more":{"instance_id":7}';
  const text = `{"x":"\\"instance_id\\":3","more":{${inner}},"instance_id" : 16110234078175194112,${formatRecord(
    record(1n),
  )
    .slice(1)
    .replace(/"instance_id":1,/, "")}`;
  expect(parseRecord(text).instance_id).toBe(16_110_234_078_175_194_112n);
});

// With a reviver it would be thirty times as much.
test("a record of 64 KiB of small values is read in little more than the time of its JSON", () => {
  const text = JSON.stringify({
    ...JSON.parse(formatRecord(record(1n))),
    more: Array.from({ length: 21_000 }, () => ({})),
  });
  const timeOf = (read: (text: string) => unknown): number => {
    const begunAt = performance.now();
    read(text);
    return performance.now() - begunAt;
  };
  const least = (read: (text: string) => unknown): number =>
    Math.min(...Array.from({ length: 20 }, () => timeOf(read)));
  expect(least(parseRecord)).toBeLessThan(10 * least(JSON.parse));
});
