// All checks: `npm test`; with `--all` (`npm run test:all`) also those that need other programs. Closes with a plain line
// `N passed, N failed`; each static check counts as one.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { buildArguments, installOrExit, node } from "./bootstrap.mjs";
import { externals, prepare } from "./external.mjs";

const wanted = process.argv.includes("--all") ? externals : [];

// Whatever happens, the last line is the count.
let passed = 0;
let failed = 0;
process.on("exit", (code) => {
  if (code !== 0 && failed === 0) failed = 1; // not even installed, or a mistake in this file
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
});
await installOrExit();

const checks = [
  ["build", "tsc", buildArguments],
  ["types", "tsc", ["-p", "tsconfig.json"]],
  ["lint", "oxlint", ["--type-aware", "--deny-warnings"]],
  ["format", "oxfmt", ["--check", "."]],
  ["unused code", "knip", []],
];
const directory = mkdtempSync(join(tmpdir(), "dyn-test-"));
const counts = join(directory, "counts.json");
// Tests must not inherit the settings of whoever runs them; the pinned Node comes first.
const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("DYN_") && !name.startsWith("OTEL_"));
const env = {
  ...Object.fromEntries(inherited),
  PATH: [dirname(node), process.env.PATH].join(delimiter),
  TEST_COUNTS: counts,
  // Hundreds of processes load the same files: compiled once, they start in two thirds of the time.
  NODE_COMPILE_CACHE: join(dirname(dirname(node)), ".cache", "dyn", "compiled"),
};
if (!process.stdout.isTTY) {
  env.NO_COLOR = "1"; // a file is no place for colours
  delete env.FORCE_COLOR;
}

async function run(name, command, args) {
  const startedAt = Date.now();
  process.stdout.write(`== ${name}\n`);
  const child = spawn(join(dirname(node), command), args, { stdio: ["ignore", "inherit", "inherit"], env });
  const code = await new Promise((resolve) => {
    child.on("error", () => resolve(1));
    child.on("close", resolve);
  });
  process.stdout.write(
    `== ${name}: ${code === 0 ? "passed" : "FAILED"} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`,
  );
  return code === 0;
}

// Programs are installed while the static checks run.
const prepared = wanted.map(async (external) => ({ ...external, problem: await prepare(external, env) }));
for (const [name, command, args] of checks) {
  if (await run(name, command, args)) passed += 1;
  else failed += 1;
}
const programs = await Promise.all(prepared);
const missing = programs.filter(({ problem }) => problem !== undefined);
env.TEST_EXTERNAL = programs
  .filter(({ problem }) => problem === undefined)
  .flatMap(({ files }) => files)
  .join(",");
const ok = await run("tests", "vitest", ["run"]);
try {
  const result = JSON.parse(readFileSync(counts, "utf8"));
  passed += result.passed;
  failed += result.failed;
  // A file that cannot be loaded has no failed test; nothing having run is a failure, too.
  if (!ok && result.failed === 0) failed += 1;
  if (ok && result.passed === 0) failed += 1;
} catch {
  failed += 1; // vitest ended without a report
}
rmSync(directory, { recursive: true, force: true });
for (const { name, files, problem } of missing) {
  process.stdout.write(
    `\n!! NOT TESTED, because this machine has no ${name}: ${files.join(", ")}\n${problem.replace(/^/gm, "!!   ")}\n`,
  );
}
if (missing.length > 0) process.stdout.write("\n");
process.exitCode = failed === 0 ? 0 : 1;
