// Files of a process whose event loop is blocked are touched by its thread.
import { readlink, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFile } from "../../../packages/runtime/src/discovery/directory.ts";
import { createPulse } from "../../../packages/runtime/src/discovery/pulse.ts";
import { openDirectory } from "../../support/directory.ts";
import { eventually, type Line } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";

/** Those that are still this file. */
async function openOf(files: readonly number[], path: string): Promise<number[]> {
  const paths = await Promise.all(files.map((file) => readlink(`/proc/self/fd/${file}`).catch(() => undefined)));
  return files.filter((_, index) => paths[index] === path);
}

test("a file is closed once another has taken its place or it is forgotten, and all of them at the end", async () => {
  await using directory = await openDirectory("dyn-pulse-");
  const path = join(directory.path, "kept");
  await writeFile(path, "kept");
  const files: number[] = [];
  {
    await using pulse = createPulse(createLogger({ sink: () => undefined }));
    for (const name of ["a", "a", "b", "c"]) {
      const file = await openFile(path);
      files.push(file);
      pulse.keep(name, file);
    }
    pulse.forget("b");
    const [, replacing, , last] = files;
    await eventually("two to be closed", async () => (await openOf(files, path)).length === 2);
    expect(await openOf(files, path)).toEqual([replacing, last]);
  }
  await eventually("all to be closed", async () => (await openOf(files, path)).length === 0);
});

test("where no thread can be started, records are kept as without one, which is told once", async () => {
  await using directory = await openDirectory("dyn-pulse-");
  const path = join(directory.path, "kept");
  await writeFile(path, "kept");
  const lines: Line[] = [];
  await using pulse = createPulse(createLogger({ sink: (line) => lines.push(line) }), () => {
    throw new Error("no threads here");
  });
  const files = [await openFile(path), await openFile(path)];
  for (const file of files) pulse.keep(path, file);
  pulse.forget(path);
  expect(lines).toMatchObject([
    {
      level: "WARN",
      message: "thread of discovery failed, a blocked event loop lets records expire",
      error: expect.stringContaining("no threads here"),
    },
  ]);
  await eventually("both files to be closed", async () => (await openOf(files, path)).length === 0);
});

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("the files that are kept are touched while the loop is blocked, others and those that were replaced are not", async () => {
  await using directory = await openDirectory("dyn-pulse-");
  const pathOf = (name: string): string => join(directory.path, name);
  const names = ["kept", "forgotten", "replaced", "other"];
  for (const name of names) {
    await writeFile(pathOf(name), name);
    await utimes(pathOf(name), 1, 1);
  }
  await using pulse = createPulse(createLogger({ sink: () => undefined }));
  const keep = async (path: string, name: string): Promise<void> => pulse.keep(path, await openFile(pathOf(name)));
  await keep("a", "kept");
  await keep("b", "forgotten");
  await keep("c", "replaced");
  await keep("c", "kept");
  pulse.forget("b");
  block(3_000);
  const isTouched = async (name: string): Promise<boolean> => (await stat(pathOf(name))).mtimeMs > 1_000;
  expect(await Promise.all(names.map(isTouched))).toEqual([true, false, false, false]);
});
