/** Writes how many tests passed and failed, for scripts/test.mjs. */
import { writeFileSync } from "node:fs";
import type { Reporter } from "vitest/node";

/** Tests that were skipped, or never came to their end, have failed: nothing is known of what they are for. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Create a reporter that writes `Counts` as JSON when the run is over. */
export function createCountReporter(path: string): Reporter {
  return {
    onTestRunEnd(modules) {
      const states = modules.flatMap(({ children }) => [...children.allTests()].map((test) => test.result().state));
      const passed = states.filter((state) => state === "passed").length;
      writeFileSync(path, JSON.stringify({ passed, failed: states.length - passed } satisfies Counts));
    },
  };
}
