// Files of a process whose event loop is blocked are touched by its thread.
import { stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFile } from "../../../packages/runtime/src/discovery/directory.ts";
import { createPulse } from "../../../packages/runtime/src/discovery/pulse.ts";
import { openDirectory } from "../../support/directory.ts";
import { createLogger } from "../../support/logger.ts";

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
