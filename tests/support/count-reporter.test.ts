// What `npm test` counts: a test that was not run has not passed.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TestModule } from "vitest/node";
import { createCountReporter } from "./count-reporter.ts";

function toModule(states: readonly string[]): TestModule {
  const tests = states.map((state) => ({ result: () => ({ state }) }));
  return { children: { allTests: () => tests.values() } } as unknown as TestModule; // the part that is read
}

test("tests that failed, were skipped or never ended count as failed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-count-"));
  const path = join(directory, "counts.json");
  const reporter = createCountReporter(path);
  await reporter.onTestRunEnd?.(
    [toModule(["passed", "failed", "skipped"]), toModule(["passed", "pending"])],
    [],
    "passed",
  );
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ passed: 2, failed: 3 });
  await rm(directory, { recursive: true });
});
