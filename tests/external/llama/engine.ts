/** llama.cpp for Node.js, as its lock file here has it: installed on first use, kept in node_modules/.cache. As a program it installs it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const cache = join(here, "../../../node_modules/.cache/dyn");
const run = promisify(execFile);

// Scripts would look for a binary of every kind of GPU, and compile llama.cpp where they do not like what they find; what is optional is those binaries.
const flags = [
  "--ignore-scripts",
  "--omit=optional",
  "--no-audit",
  "--no-fund",
  "--loglevel=error",
  "--prefer-offline",
  // By itself npm tries for ten minutes and more where it reaches no registry.
  "--fetch-retries=2",
  "--fetch-retry-mintimeout=500",
  "--fetch-retry-maxtimeout=2000",
];
const timeout = 180_000; // ms
const probe = `await using llama = await (await import("node-llama-cpp")).getLlama({ build: "never", logLevel: "error" });`;

/** The directory that has it as `node_modules/node-llama-cpp`. @throws Error saying what is missing. */
export async function prepareEngine(): Promise<string> {
  const platform = `${process.platform} ${process.arch}`;
  if (platform !== "linux x64")
    throw new Error(`the lock file has the binary of Linux on x64 only, this is ${platform}`);
  const hash = createHash("sha256").update(await readFile(join(here, "package-lock.json")));
  const home = join(cache, `llama-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(home)) return home;
  // Made aside and moved when it is whole: an interrupted or a second run never sees half of one.
  const draft = `${home}-${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    for (const name of ["package.json", "package-lock.json"]) await copyFile(join(here, name), join(draft, name));
    // `npm ci` would ask that the lock file has the binaries of every other platform.
    await run("npm", ["install", ...flags], { cwd: draft, timeout });
    const script = join(draft, "probe.js"); // a file, since the engine starts a process with the arguments of this one
    await writeFile(script, probe);
    await run(process.execPath, [script]); // the binary may ask for another C library
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
  return home;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await prepareEngine();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
