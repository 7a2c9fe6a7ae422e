/** Writes how many tests passed and failed, for scripts/test.mjs. */
import { writeFileSync } from "node:fs";
import type { Reporter } from "vitest/node";

/** Tests that are skipped count as neither. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Create a reporter that writes `Counts` as JSON when the run is over. */
export function createCountReporter(path: string): Reporter {
  return {
    onTestRunEnd(modules) {
      const states = modules.flatMap(({ children }) => [...children.allTests()].map((test) => test.result().state));
      const count = (wanted: string): number => states.filter((state) => state === wanted).length;
      writeFileSync(path, JSON.stringify({ passed: count("passed"), failed: count("failed") } satisfies Counts));
    },
  };
}
