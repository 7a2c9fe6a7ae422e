// Whose a discovery directory must be, and that nothing behind a link in it is touched.
import { chmod, mkdir, readdir, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultFileKv } from "../../../packages/runtime/src/settings/environment.ts";
import { formatRecord, recordKey } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually, startProgram } from "../../support/cluster.ts";
import { fileSpace, follow, record, replacePath } from "./spaces.ts";
import { fileOf, lookAround, makeDocuments, makeTree, owning, stranger, writeOld } from "./trees.ts";

const own = process.geteuid?.() ?? 0;

describe("a link", () => {
  test.each(["kv", "kv/v1", "kv/v1/instances", "kv/v1/mdc"])(
    "in the place of %s is refused, shared or not, and what is behind it is safe",
    async (part) => {
      await using space = await fileSpace();
      const [kv, documents, link] = [await makeTree(space), await makeDocuments(space), join(space.root, part)];
      await rm(link, { recursive: true });
      await symlink(documents, link);
      for (const isShared of [false, true]) {
        await expect(space.open({ root: `${kv}/`, isShared })).rejects.toMatchObject({
          code: "unavailable",
          message: `the discovery directory ${kv}/ (--file-kv, DYN_FILE_KV) cannot be used: ${link} is a symbolic link and must be a directory itself`,
        });
      }
      expect((await readdir(documents)).sort()).toEqual([".tmp_notes", "letters", "thesis.txt"]);
    },
  );

  test("on the way is followed, since nobody else can change it, also that of a relative path", async () => {
    await using space = await fileSpace();
    await symlink(".", join(space.root, "link"));
    await using owner = await space.open({ root: relative(process.cwd(), join(space.root, "link/kv")) });
    await owner.publish(record(1n));
    await using reader = await space.open({ root: join(space.root, "kv") });
    using watch = follow(reader);
    await eventually("the record", () => watch.records.size === 1);
  });

  test.each([false, true])(
    "that takes the place of a bucket while a process runs is a trouble, and nothing behind it is touched (shared: %s)",
    async (isShared) => {
      await using space = await fileSpace();
      const [kv, documents] = [await makeTree(space), await makeDocuments(space)];
      const owner = await space.open({ root: kv, isShared });
      await owner.publish(record(1n));
      await owner.publish(record(2n));
      using watch = follow(owner);
      await eventually("both", () => watch.records.size === 2);
      // Even what looks like one's own record, or a dead one.
      for (const id of [1n, 9n]) await writeOld(documents, fileOf(record(id)), formatRecord(record(id)));
      const before = await readdir(documents);
      const bucket = join(kv, "v1/instances");
      await symlink(documents, join(space.root, "link"));
      await replacePath(join(space.root, "link"), bucket);
      await eventually(
        "the trouble",
        () =>
          owner.condition.state === "degraded" &&
          space.lines.some(({ message }) => message === "discovery record cannot be kept alive"),
      );
      await expect(owner.publish(record(3n))).rejects.toThrow(`${bucket} is a symbolic link`);
      await expect(owner[Symbol.asyncDispose]()).rejects.toThrow(`${bucket} is a symbolic link`);
      expect(await readdir(documents)).toEqual(before);
      for (const name of before.filter((name) => name !== "letters"))
        expect((await stat(join(documents, name))).mtimeMs).toBe(1_000);
    },
  );

  test("in the place of a record is neither read, nor touched through, nor removed, and said once", async () => {
    await using space = await fileSpace();
    const [kv, documents] = [await makeTree(space), await makeDocuments(space)];
    const text = join(documents, "record");
    await writeFile(text, formatRecord(record(1n)));
    await utimes(text, 1, 1);
    const link = join(kv, "v1/instances", fileOf(record(1n)));
    await symlink(text, link);
    await using reader = await space.open({ root: kv });
    using watch = follow(reader);
    await lookAround(space, kv, watch, 2n);
    await using owner = await space.open({ root: kv });
    await owner.publish(record(1n)); // takes the link's place
    await eventually("the record", () => watch.records.has(recordKey(record(1n))));
    await symlink(text, join(space.root, "link"));
    await rename(join(space.root, "link"), link);
    await eventually("the trouble", () => owner.condition.state === "degraded");
    expect((await stat(text)).mtimeMs).toBe(1_000);
    await rm(link);
    const said = space.lines.filter(({ message, path }) => message === "discovery record ignored" && path === link);
    expect(said.map(({ error }) => error)).toContain("it is a symbolic link, which is not followed");
  });
});

describe("a directory of others", () => {
  test.each(["kv", "kv/v1", "kv/v1/mdc"])("at %s is refused with what to do, unless they are trusted", async (part) => {
    await using space = await fileSpace();
    const [kv, path] = [await makeTree(space), join(space.root, part)];
    const steps = owning((asked) => (asked === path ? stranger : undefined));
    const belongs = `${path} belongs to user ${stranger}, not to ${own === 0 ? "root" : `user ${own} or root`}: name another directory, or trust whoever can write there with --file-kv-shared`;
    await expect(space.open({ root: kv, steps })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(belongs),
    });
    await using shared = await space.open({ root: kv, steps, isShared: true });
    await shared.publish(record(1n));
  });

  test.each([
    ["kv", 0o777],
    ["kv", 0o1777],
    ["kv/v1", 0o770],
    ["kv/v1/instances", 0o702],
  ])("who may write in %s, mode %o, is refused with what to do, unless they are trusted", async (part, mode) => {
    await using space = await fileSpace();
    const [kv, path] = [await makeTree(space), join(space.root, part)];
    await chmod(path, mode);
    const shown = mode.toString(8).padStart(4, "0");
    const open = `others can write in ${path}, mode ${shown}: change that (chmod go-w), name another directory, or trust them with --file-kv-shared`;
    await expect(space.open({ root: kv })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(open),
    });
    await using shared = await space.open({ root: kv, isShared: true });
    await shared.publish(record(1n));
    await chmod(path, 0o755);
    await using reader = await space.open({ root: kv });
    using watch = follow(reader);
    await eventually("the record", () => watch.records.size === 1);
  });

  test("that is opened to them while a process runs is a trouble, until it is closed", async () => {
    await using space = await fileSpace();
    const kv = await makeTree(space);
    await using reader = await space.open({ root: kv });
    using watch = follow(reader);
    await watch.ready;
    await chmod(kv, 0o777);
    await eventually("the trouble", () => reader.condition.state === "degraded");
    expect(reader.condition).toMatchObject({
      reason: expect.stringContaining(`others can write in ${kv}, mode 0777: change that (chmod go-w)`),
    });
    await chmod(kv, 0o700);
    await eventually("its end", () => reader.condition.state === "listing");
  });

  test("root's is taken, and so is one below the system's temporary directory", async () => {
    await using space = await fileSpace();
    const parent = join(space.root, "tmp");
    await mkdir(parent);
    await chmod(parent, 0o1777);
    const steps = owning(() => 0);
    await using reader = await space.open({ root: join(parent, "kv"), steps });
    await reader.publish(record(1n));
  });

  test("above it, where they could put another in its place, is refused, also if only a link leads there", async () => {
    await using space = await fileSpace();
    const parent = join(space.root, "open");
    await mkdir(parent);
    await chmod(parent, 0o777);
    await mkdir(join(parent, "inner"), { mode: 0o700 });
    await symlink("open/../open/inner", join(space.root, "link"));
    await symlink(join(space.root, "link"), join(space.root, "second"));
    for (const root of [
      join(parent, "kv"),
      join(parent, "inner/kv"),
      join(space.root, "link/kv"),
      join(space.root, "second/kv"),
    ]) {
      await expect(space.open({ root })).rejects.toMatchObject({
        message: expect.stringContaining(`others can write in ${parent}, mode 0777: change that (chmod go-w or +t)`),
      });
      await using _shared = await space.open({ root, isShared: true });
    }
    await chmod(parent, 0o755);
    await using _closed = await space.open({ root: join(space.root, "second/kv") });
  });

  test("above it is refused if it is theirs, and so is a link of theirs on the way", async () => {
    await using space = await fileSpace();
    const [parent, link] = [join(space.root, "parent"), join(space.root, "link")];
    await mkdir(parent);
    await symlink("parent", link);
    for (const [root, theirs] of [
      [join(parent, "kv"), parent],
      [join(link, "kv"), link],
    ] as const) {
      const steps = owning((asked) => (asked === theirs ? stranger : undefined));
      await expect(space.open({ root, steps })).rejects.toMatchObject({
        message: expect.stringContaining(`${theirs} belongs to user ${stranger}`),
      });
    }
  });
});

test("what discovery makes is for its user alone", async () => {
  await using space = await fileSpace();
  const root = join(space.root, "above/kv");
  await using owner = await space.open({ root });
  await owner.publish(record(1n));
  const parts = ["..", "", "v1", "v1/instances", "v1/mdc"];
  expect(await Promise.all(parts.map(async (part) => (await stat(join(root, part))).mode & 0o777))).toEqual(
    parts.map(() => 0o700),
  );
});

describe("the default directory", () => {
  test("is one for each user: XDG_RUNTIME_DIR's if that is theirs, else one with their number in the temporary directory", async () => {
    await using space = await fileSpace();
    const file = join(space.root, "file");
    await writeFile(file, "");
    expect(defaultFileKv({ XDG_RUNTIME_DIR: space.root })).toBe(join(space.root, "dyn"));
    const fallback = join(tmpdir(), `dyn-${own}`);
    await symlink("loop", join(space.root, "loop"));
    for (const other of [
      undefined,
      "",
      "relative",
      file,
      ...["nowhere", "file/below", "loop"].map((name) => join(space.root, name)),
    ])
      expect(defaultFileKv({ XDG_RUNTIME_DIR: other })).toBe(fallback);
    expect(defaultFileKv({ XDG_RUNTIME_DIR: space.root }, own + 1)).toBe(join(tmpdir(), `dyn-${own + 1}`)); // as su leaves it
  });

  test.each([
    ["dyn-frontend", "dynamo_store_kv"],
    ["dyn-mock-worker", `dyn-${own}`],
  ])(
    "%s deletes nothing through a link that somebody has laid at %s/v1/instances, and says in one line why it does not start",
    async (command, name) => {
      await using space = await fileSpace();
      const documents = await makeDocuments(space);
      const link = join(space.root, name, "v1/instances");
      await mkdir(join(space.root, name, "v1"), { recursive: true });
      await symlink(documents, link);
      await using program = startProgram(
        command,
        name === "dynamo_store_kv" ? ["--file-kv", join(space.root, name)] : [],
        {
          TMPDIR: space.root,
          DYN_HTTP_PORT: "0",
        },
      );
      expect(await program.exited).toBe(1);
      const directory = join(space.root, name);
      expect(program.stderr()).toBe(
        `${command}: the discovery directory ${directory} (--file-kv, DYN_FILE_KV) cannot be used: ${link} is a symbolic link and must be a directory itself\n`,
      );
      expect((await readdir(documents)).sort()).toEqual([".tmp_notes", "letters", "thesis.txt"]);
    },
  );
});
