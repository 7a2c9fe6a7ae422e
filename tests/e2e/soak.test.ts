// The soak itself, for a moment: that it runs, finds nothing wrong, and says what it saw.
import { expect, test } from "vitest";
import { startProgram } from "../cluster.ts";

test("a short soak answers every request right", { timeout: 120_000 }, async () => {
  await using soak = startProgram("node", ["tests/soak/run.ts", "--minutes", "0.2", "--seed", "11", "--lanes", "8"]);
  const exit = await soak.exited;
  expect([exit, soak.stdout(), soak.stderr()]).toEqual([0, expect.any(String), ""]);
  for (const fault of ["failed", "lost", "duplicated", "mismatched"]) expect(soak.stdout()).toMatch(new RegExp(`^${fault} +0$`, "m"));
  expect(soak.stdout()).toMatch(/^asked +[1-9]\d+: [1-9]\d+ answered/m);
  expect(soak.stdout()).toMatch(/^things that happened +[1-9]/m);
  expect(soak.stdout()).toMatch(/^memory of frontend 1 +[\d.]+ to [\d.]+ MiB, slope/m);
});

test("a soak that cannot be run says why", async () => {
  await using soak = startProgram("node", ["tests/soak/run.ts", "--minutes", "soon"]);
  expect(await soak.exited).toBe(2);
  expect(soak.stderr()).toBe('soak: --minutes: expected a number, got "soon"\n');
});
