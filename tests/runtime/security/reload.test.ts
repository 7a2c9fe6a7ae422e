// Values that follow their files, whatever those who use them make of it.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLogger } from "../../support/logger.ts";
import { openReloading } from "../../../packages/runtime/src/security/reload.ts";
import { eventually } from "../../support/cluster.ts";

test("a value that whoever uses it cannot take is no value: the one before stays, and it is offered again", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-reload-"));
  const path = join(directory, "file");
  await writeFile(path, "first");
  const messages: unknown[] = [];
  const log = createLogger({ sink: ({ message }) => messages.push(message) });
  let offers = 0;
  let isWilling = false;
  const onChange = (): void => {
    offers += 1;
    if (!isWilling) throw new Error("not now");
  };
  using value = await openReloading({
    what: "files",
    paths: [path],
    parse: ([bytes]) => String(bytes),
    log,
    onChange,
    intervalMs: 5,
  });
  await writeFile(`${path}-next`, "second");
  await rename(`${path}-next`, path);
  await eventually("refusals", () => offers > 1);
  expect(value.current).toBe("first");
  isWilling = true;
  await eventually("the value", () => value.current === "second");
  expect(messages.filter((message) => message === "files reloaded")).toHaveLength(1);
  await rm(directory, { recursive: true });
});
