/** A program that tries a client, and says of each case what was wrong. */
import { expect } from "vitest";
import { runClient, type RunOptions } from "./run.ts";

interface Result {
  readonly case: string;
  /** Null if all is well. */
  readonly problem: string | null;
}

/** Run it: it writes one JSON object per case, and each must be without a problem. */
export async function expectCases(command: string, args: readonly string[], options: RunOptions): Promise<void> {
  const { code, stdout, stderr } = await runClient(command, args, { timeoutMs: 200_000, ...options });
  if (code !== 0) throw new Error(stderr);
  const lines = stdout.trim().split("\n");
  const results = lines.map((line) => JSON.parse(line) as Result);
  expect(results.filter(({ problem }) => problem !== null)).toEqual([]);
  expect(results.length).toBeGreaterThan(4);
}
