// Records signed with the plane token: who can only write in the directory makes none, changes none, and hides none for long.
import { copyFile, mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toFileText } from "../../../packages/runtime/src/discovery/record-file.ts";
import {
  bucketOf,
  formatRecord,
  parseRecord,
  recordKey,
  type DiscoveryRecord,
} from "../../../packages/runtime/src/discovery/records.ts";
import { findBadSignature, signRecord } from "../../../packages/runtime/src/discovery/signature.ts";
import { parseTokens, type Tokens } from "../../../packages/runtime/src/security/auth.ts";
import { eventually } from "../../support/cluster.ts";
import { card, fileSpace, follow, record, startedAt, ttlMs, type FileSpace } from "./spaces.ts";
import { fileOf } from "./trees.ts";

const [first, second] = ["the-first-token-of-all", "another-token-that-is-set"] as const;
const mine = parseTokens(first);
const both = parseTokens(`${first}\n${second}`);
const theirs = parseTokens(second);
const unsigned = "it is not signed, and a plane token is set here: set --plane-token-file for its process, too";
const wrong =
  "its signature is wrong: its process has another plane token (--plane-token-file), or somebody has changed it";

function pathOf(space: FileSpace, what: DiscoveryRecord): string {
  return join(space.root, bucketOf(what), fileOf(what));
}

function said(space: FileSpace, message: string): Record<string, unknown>[] {
  return space.lines.filter((line) => line["message"] === message);
}

async function put(space: FileSpace, what: DiscoveryRecord, text: string): Promise<void> {
  await mkdir(join(space.root, bucketOf(what)), { recursive: true, mode: 0o700 });
  await writeFile(pathOf(space, what), text);
}

describe("a signature", () => {
  // Worked out once with another program, from docs/discovery-records.md.
  test.each([
    [
      '{"type":"Endpoint","component":"backend","endpoint":"generate","namespace":"dynamo","instance_id":16907028700647911731,"transport":{"tcp":"127.0.0.1:35235/eaa1d506a573f133/dynamo/backend/generate"},"request_plane_codec":"msgpack","dyn_plane":1}',
      "dae1ca8eef01bc41eb72a10c849b65661e0c8e0c95fb1bb0336f401638413bbd",
    ],
    [
      '{"type":"Model","namespace":"dynamo","component":"backend","endpoint":"generate","instance_id":16907028700647911731,"card_json":{"display_name":"mock","slug":"mock","context_length":0,"kv_cache_block_size":16,"migration_limit":0,"model_type":"Chat | Completions","model_input":"Text","worker_type":"aggregated","needs":[],"runtime_config":{},"dyn_created":1795798800}}',
      "8c665e125a410d7612e0ff2e598afdf14422ecc291fc71490cd8c0682c32968c",
    ],
  ])("is the last field of %s", (text, signature) => {
    const signed = toFileText(parseRecord(text), parseTokens("correct-horse-battery-staple"));
    expect(signed).toBe(`${text.slice(0, -1)},"dyn_signature":"${signature}"}`);
    expect(parseRecord(signed)).toEqual({ ...parseRecord(text), dyn_signature: signature });
  });

  test("holds for its own text at its own place, by any token that is set, and for nothing else", () => {
    const text = fc
      .oneof(fc.string({ unit: "grapheme" }), fc.constantFrom('"dyn_signature":"', "}", "\n"))
      .map((name) => {
        return formatRecord({ ...card(7n), card_json: { ...card(7n).card_json, display_name: `m${name}` } });
      });
    fc.assert(
      fc.property(text, fc.nat(), fc.integer({ min: 1, max: 0x7f }), (content, at, flip) => {
        const signed = signRecord(content, "v1/mdc/a", mine);
        for (const tokens of [mine, both, undefined])
          expect(findBadSignature(signed, "v1/mdc/a", tokens)).toBeUndefined();
        expect(findBadSignature(content, "v1/mdc/a", mine)).toBe(unsigned);
        expect(findBadSignature(signed, "v1/mdc/a", theirs)).toBe(wrong);
        for (const place of ["v1/mdc/b", "v1/instances/a", ""])
          expect(findBadSignature(signed, place, mine)).toBe(wrong);
        const index = at % signed.length;
        const changed =
          signed.slice(0, index) + String.fromCharCode(signed.charCodeAt(index) ^ flip) + signed.slice(index + 1);
        expect(findBadSignature(changed, "v1/mdc/a", mine)).toBeDefined();
        expect(findBadSignature(signed.slice(0, index), "v1/mdc/a", mine)).toBeDefined();
      }),
    );
  });
});

describe("with a token", () => {
  test("only what is signed counts, of instances and of cards, and each other file is one line", async () => {
    await using space = await fileSpace();
    await using owner = await space.open({ tokens: () => mine });
    for (const what of [record(1n), card(1n)]) await owner.publish(what);
    await put(space, record(2n), formatRecord(record(2n)));
    await put(space, record(3n), toFileText(record(3n), theirs));
    await put(space, card(4n), formatRecord(card(4n)));
    await put(space, card(5n), toFileText(card(5n), mine).replace('"Chat"', '"Chit"'));
    await copyFile(pathOf(space, record(1n)), join(space.root, "v1/instances", fileOf(record(6n)))); // a copy under another key
    await copyFile(pathOf(space, card(1n)), join(space.root, "v1/instances", fileOf(record(7n, "other"))));
    await using reader = await space.open({ tokens: () => mine });
    using instances = follow(reader);
    using cards = follow(reader, "v1/mdc");
    await Promise.all([instances.ready, cards.ready]);
    await owner.publish(record(8n));
    await eventually("a later look", () => instances.records.size === 2);
    expect([...instances.records.keys()].sort()).toEqual([record(1n), record(8n)].map(recordKey).sort());
    expect([...cards.records.keys()]).toEqual([recordKey(card(1n))]);
    const foreign = `its content belongs to key ${recordKey(record(1n))}`;
    const lines = said(space, "discovery record ignored");
    expect(lines).toHaveLength(6);
    expect(new Map(lines.map(({ path, error }) => [path, error]))).toEqual(
      new Map([
        [pathOf(space, record(2n)), unsigned],
        [pathOf(space, record(3n)), wrong],
        [pathOf(space, record(6n)), foreign],
        [pathOf(space, record(7n, "other")), foreign],
        [pathOf(space, card(4n)), unsigned],
        [pathOf(space, card(5n)), wrong],
      ]),
    );
  });

  test("a card does not stand in the place of the instance of its key", async () => {
    await using space = await fileSpace();
    await using reader = await space.open({ tokens: () => mine });
    await put(space, record(1n), toFileText(card(1n), mine));
    using watch = follow(reader);
    await eventually("its line", () => said(space, "discovery record ignored").length === 1);
    expect(said(space, "discovery record ignored")[0]).toMatchObject({ error: wrong });
    expect(watch.records.size).toBe(0);
  });

  test("an unsigned record is removed when it is dead, as any other", async () => {
    await using space = await fileSpace();
    await put(space, record(1n), formatRecord(record(1n)));
    await utimes(pathOf(space, record(1n)), (startedAt - ttlMs - 1) / 1000, (startedAt - ttlMs - 1) / 1000);
    await using reader = await space.open({ tokens: () => mine });
    using _watch = follow(reader);
    await eventually("the sweep", async () => (await readdir(join(space.root, "v1/instances"))).length === 0);
  });

  test("thousands of unsigned records are ten lines in ten seconds and their number", async () => {
    await using space = await fileSpace();
    for (let id = 1n; id <= 50n; id += 1n) await put(space, record(id), formatRecord(record(id)));
    await using reader = await space.open({ tokens: () => mine });
    using watch = follow(reader);
    await watch.ready;
    expect(said(space, "discovery record ignored")).toHaveLength(10);
    space.tell();
    const path = expect.stringContaining(join(space.root, "v1/instances"));
    expect(said(space, "discovery record ignored").slice(10)).toEqual([
      expect.objectContaining({ level: "WARN", count: 40, path }),
    ]);
  });

  test("a record that others change is not believed, and its owner writes it again, with one line for each change", async () => {
    await using space = await fileSpace();
    await using owner = await space.open({ tokens: () => mine, heartbeatMs: 200 });
    await using reader = await space.open({ tokens: () => mine });
    using watch = follow(reader);
    await owner.publish(record(1n));
    await eventually("the record", () => watch.records.size === 1);
    const good = await readFile(pathOf(space, record(1n)), "utf8");
    for (const changes of [1, 2]) {
      await put(space, record(1n), good.replace("127.0.0.1", "198.51.100.7"));
      await eventually("its return", async () => (await readFile(pathOf(space, record(1n)), "utf8")) === good);
      await eventually(
        "its line",
        () =>
          said(space, "discovery record was changed by somebody else and has been published again").length === changes,
      );
    }
    await eventually("the record", () => watch.records.size === 1);
    const heard = watch.heard
      .flat()
      .map((change) => (change.record?.type === "Endpoint" ? change.record.transport.tcp : ""));
    expect(heard.filter((tcp) => tcp.includes("198.51.100.7"))).toEqual([]);
  });
});

describe("a heartbeat", () => {
  const changed = "discovery record was changed by somebody else and has been published again";

  test.each<[string, string]>([
    ["another text", "{}"],
    ["nothing", ""],
    ["more than a record may have", "x".repeat(65_537)],
  ])("without a token, too, puts a record back that was replaced by %s", async (_name, text) => {
    await using space = await fileSpace();
    let now = startedAt;
    await using owner = await space.open({ now: () => now });
    await owner.publish(card(1n));
    await put(space, card(1n), text);
    const line = await eventually("its line", () => said(space, changed)[0]);
    expect(line).toMatchObject({ level: "WARN", bucket: "v1/mdc", key: recordKey(card(1n)) });
    expect(await readFile(pathOf(space, card(1n)), "utf8")).toBe(formatRecord(card(1n)));
    now += 5_000;
    await eventually("a touch", async () => (await stat(pathOf(space, card(1n)))).mtimeMs === now);
    expect(said(space, changed)).toHaveLength(1);
  });

  test("takes a record that is published anew for no change of somebody else's", async () => {
    await using space = await fileSpace();
    await using owner = await space.open({ heartbeatMs: 1 });
    for (let index = 0; index < 100; index += 1)
      await owner.publish({ ...card(1n), card_json: { ...card(1n).card_json, context_length: index } });
    expect(await readFile(pathOf(space, card(1n)), "utf8")).toContain('"context_length":99');
    expect(said(space, changed)).toEqual([]);
  });

  test("signs with the token that is the first by now, and neither owner nor reader says a word or loses a record", async () => {
    await using space = await fileSpace();
    let [ofOwner, ofReader]: Tokens[] = [mine, mine] as const;
    await using owner = await space.open({ tokens: () => ofOwner });
    await using reader = await space.open({ tokens: () => ofReader });
    using watch = follow(reader);
    await owner.publish(record(1n));
    await eventually("the record", () => watch.records.size === 1);
    const isSigned = async (what: DiscoveryRecord, tokens: Tokens): Promise<boolean> =>
      (await readFile(pathOf(space, what), "utf8")) === toFileText(what, tokens);
    [ofOwner, ofReader] = [both, both]; // the new one is known everywhere
    await owner.publish(record(2n));
    await eventually("a look", () => watch.records.size === 2);
    ofOwner = ofReader = parseTokens(`${second}\n${first}`); // and signs
    for (const id of [1n, 2n]) await eventually("the new signature", () => isSigned(record(id), theirs));
    ofOwner = ofReader = theirs; // the old one is gone
    await owner.publish(record(3n));
    await eventually("a look", () => watch.records.size === 3);
    expect(watch.heard.flat().filter((change) => !change.record)).toEqual([]);
    expect(space.lines.filter(({ level }) => level === "WARN")).toEqual([]);
  });
});

test("a token that is gone vouches for nothing any more, and a new one for what was ignored", async () => {
  await using space = await fileSpace();
  let tokens = mine;
  await using _first = await space
    .open({ tokens: () => mine })
    .then(async (owner) => (await owner.publish(record(1n)), owner));
  await using _second = await space
    .open({ tokens: () => theirs })
    .then(async (owner) => (await owner.publish(record(2n)), owner));
  await using reader = await space.open({ tokens: () => tokens });
  using watch = follow(reader);
  await eventually("the first", () => watch.records.has(recordKey(record(1n))));
  expect(watch.records.size).toBe(1);
  tokens = theirs;
  await eventually("the second alone", () => watch.records.size === 1 && watch.records.has(recordKey(record(2n))));
  expect(said(space, "discovery record ignored").map(({ error }) => error)).toEqual([wrong, wrong]);
});
