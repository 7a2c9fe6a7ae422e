// How much memory young objects take, in processes that keep many of them alive.
import { expect, test } from "vitest";
import { startProgram } from "../support/cluster.ts";

// Of what is made, as much survives as makes V8 grow at every chance.
const program = `
import { getHeapSpaceStatistics } from "node:v8";
import { setTimeout as wait } from "node:timers/promises";
import { holdYoungGeneration } from "./packages/runtime/dist/young-generation.js";
if (process.env.HOLD) holdYoungGeneration({ flags: [...process.execArgv, process.env.NODE_OPTIONS ?? ""], everyMs: 1 });
let kept = [];
let most = 0;
for (let round = 0; round < 120; round += 1) {
  for (let index = 0; index < 10_000; index += 1) kept.push({ round, list: [index] });
  if (kept.length > 100_000) kept = [];
  await wait(1);
  most = Math.max(most, getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size);
}
console.log(most / 1024 / 1024);
process.exit();`;

async function mostMib(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  await using started = startProgram("node", [...args, "--input-type=module", "--eval", program], env);
  expect(await started.exited, started.stderr()).toBe(0);
  return Number(started.stdout());
}

test("the young generation grows to 16 MiB, and no further", async () => {
  // While V8 collects, half a MiB may be counted on both sides. The next size would be 32.
  const held = await mostMib([], { HOLD: "1" });
  expect(held).toBeGreaterThanOrEqual(16);
  expect(held).toBeLessThan(18);
  expect(await mostMib([], {})).toBeGreaterThan(18);
});

test.each([
  ["an argument", ["--max-semi-space-size=16"], {}],
  ["NODE_OPTIONS", [], { NODE_OPTIONS: "--max-semi-space-size=16" }],
] as const)("a size given as %s stays", async (_name, args, env) => {
  expect(await mostMib(args, { HOLD: "1", ...env })).toBeGreaterThanOrEqual(32);
});
