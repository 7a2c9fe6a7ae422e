import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { createCountReporter } from "./tests/support/count-reporter.ts";

const source = (path: string): string => fileURLToPath(new URL(`packages/${path}`, import.meta.url));

// Set by scripts/test.mjs.
const counts = process.env["TEST_COUNTS"];

// Set by scripts/test.mjs: the files of tests/external whose programs are there. By hand, all run.
const external = process.env["TEST_EXTERNAL"]?.split(",") ?? ["tests/external/*.test.ts"];

const sources = "tests/{docs,frontend,lineage,mock-worker,runtime,support,upstream-worker}/**/*.test.ts";

// Tests that spawn programs come first: they take longest, and the last of them would run alone.
class ProgramsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isOfPrograms = ({ moduleId }: TestSpecification): boolean =>
      /\/tests\/(?:e2e|tools|external)\//.test(moduleId);
    return [...sorted.filter(isOfPrograms), ...sorted.filter((file) => !isOfPrograms(file))];
  }
}

// Unit tests run the sources; tests of whole programs spawn the built commands.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@dyn\/runtime\/llm$/, replacement: source("runtime/src/llm.ts") },
      { find: /^@dyn\/runtime\/internal$/, replacement: source("runtime/src/internal.ts") },
      { find: /^@dyn\/runtime$/, replacement: source("runtime/src/index.ts") },
      { find: /^@dyn\/lineage\/trace$/, replacement: source("lineage/src/trace-command.ts") },
      { find: /^@dyn\/lineage$/, replacement: source("lineage/src/index.ts") },
      { find: /^@dyn\/frontend$/, replacement: source("frontend/src/index.ts") },
      { find: /^@dyn\/mock-worker\/testing$/, replacement: source("mock-worker/src/testing.ts") },
      { find: /^@dyn\/mock-worker$/, replacement: source("mock-worker/src/index.ts") },
      { find: /^@dyn\/upstream-worker$/, replacement: source("upstream-worker/src/index.ts") },
    ],
  },
  test: {
    ...(counts !== undefined && { reporters: ["default", createCountReporter(counts)] }),
    projects: [
      // A worker that is started anew for each file takes as long as all its tests: these leave nothing behind.
      { extends: true, test: { name: "sources", include: [sources, "examples/*.test.ts"], isolate: false } },
      { extends: true, test: { name: "programs", include: ["tests/{e2e,tools}/**/*.test.ts", ...external] } },
    ],
    // Far beyond what any test takes: they bound a run that is stuck, and must not judge a machine that is busy.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    sequence: { sequencer: ProgramsFirst },
    maxWorkers: 3, // many tests wait; two cores are busy with two of three
  },
});
