// Files of a process whose event loop is blocked are touched by its thread.
import { readlink, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFile } from "../../../packages/runtime/src/discovery/directory.ts";
import { createPulse } from "../../../packages/runtime/src/discovery/pulse.ts";
import { openDirectory } from "../../support/directory.ts";
import { eventually, type Line } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";

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
  const isOpen = (file: number): Promise<boolean> =>
    readlink(`/proc/self/fd/${file}`).then(
      (at) => at === path,
      () => false,
    );
  await eventually("both files to be closed", async () => !(await Promise.all(files.map(isOpen))).includes(true));
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
