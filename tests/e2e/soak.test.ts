// The soak itself, for a moment: that it runs, finds nothing wrong, and says what it saw.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, startProgram } from "../support/cluster.ts";

const soak = "tools/soak/run.ts";

test("a short soak answers every request right", async () => {
  await using program = startProgram("node", [soak, "--minutes", "0.2", "--seed", "11", "--lanes", "8"]);
  const exit = await program.exited;
  expect([exit, program.stdout(), program.stderr()]).toEqual([0, expect.any(String), ""]);
  for (const fault of ["failed", "lost", "duplicated", "mismatched"])
    expect(program.stdout()).toMatch(new RegExp(`^${fault} +0$`, "m"));
  expect(program.stdout()).toMatch(/^asked +[1-9]\d+: [1-9]\d+ answered/m);
  expect(program.stdout()).toMatch(/^disturbances +[1-9]/m);
  expect(program.stdout()).toMatch(/^memory of (frontend|worker) 1 +[\d.]+ to [\d.]+ MiB, too short to judge/m);
  expect(program.stdout()).toMatch(/^every answer was right$/m);
  expect(program.stdout()).not.toMatch(/ $/m);
});

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

// Direct children. Source: proc(5), /proc/PID/task/TID/children.
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "latin1");
  return text.split(" ").filter(Boolean).map(Number);
}

test("a soak that gets SIGTERM says what it has seen, and leaves nothing behind", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-soak-test-"));
  await using program = startProgram("node", ["scripts/run.mjs", soak, "--minutes", "10", "--lanes", "4"], {
    TMPDIR: directory,
  });
  await eventually("its first progress", () => / [1-9]\d* answered/.test(program.stdout()));
  const [runner = 0] = await childrenOf(program.pid);
  const members = await childrenOf(runner);
  expect(members.length).toBeGreaterThan(8);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.stdout()).toMatch(/^ended after .* by SIGTERM: every answer was right$/m);
  expect(members.filter(isRunning)).toEqual([]);
  expect(await readdir(directory)).toEqual([]);
  await rm(directory, { recursive: true });
});

test("the members of a soak that is killed end by themselves", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-soak-test-"));
  await using program = startProgram("node", [soak, "--minutes", "10", "--lanes", "1"], { TMPDIR: directory });
  await eventually("its first progress", () => / [1-9]\d* answered/.test(program.stdout()));
  const members = await childrenOf(program.pid);
  expect(members.length).toBeGreaterThan(8);
  program.kill("SIGKILL");
  await eventually("the end of its members", () => !members.some(isRunning));
  await rm(directory, { recursive: true });
});

test.each([
  ["--minutes", "soon", "a number above 0"],
  ["--minutes", "0", "a number above 0"],
  ["--lanes", "0", "a whole number from 1 to 10000"],
  ["--lanes", "1.5", "a whole number from 1 to 10000"],
])("a soak that cannot be run says why: %s %s", async (name, value, wanted) => {
  await using program = startProgram("node", [soak, name, value]);
  expect(await program.exited).toBe(2);
  expect(program.stderr()).toBe(`soak: ${name}: expected ${wanted}, got "${value}"\n`);
});
