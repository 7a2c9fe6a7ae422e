/** Clients that are no dependency of ours: installed on first use as their lock file says, kept in node_modules/.cache. As a program it installs: `install.ts DIRECTORY…`. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { preparePython } from "../../sdk/python/environment.ts";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const cache = join(root, "node_modules/.cache/dyn");
const run = promisify(execFile);

const flags = [
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--loglevel=error",
  "--prefer-offline",
  // By itself npm tries for ten minutes and more where it reaches no registry.
  "--fetch-retries=2",
  "--fetch-retry-mintimeout=500",
  "--fetch-retry-maxtimeout=2000",
];
const timeout = 300_000; // ms

/** Install what `package.json` and `package-lock.json` of a directory say. @returns the directory with its `node_modules`. @throws Error saying what is missing. */
export async function installNode(directory: string): Promise<string> {
  const lock = await readFile(join(directory, "package-lock.json"));
  const hash = createHash("sha256").update(lock).update(`${process.platform} ${process.arch}`).digest("hex");
  const home = join(cache, `${basename(directory)}-${hash.slice(0, 16)}`);
  if (existsSync(home)) return home;
  // Made aside and moved when it is whole: an interrupted or a second run never sees half of one.
  const draft = `${home}-${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    for (const name of ["package.json", "package-lock.json"]) await copyFile(join(directory, name), join(draft, name));
    await run("npm", ["ci", ...flags], { cwd: draft, timeout });
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
  return home;
}

/** Install what `requirements.txt` of a directory says, with hashes. @returns the interpreter that has it. @throws Error saying what is missing. */
export function installPython(directory: string): Promise<string> {
  return preparePython(join(directory, "requirements.txt"));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    for (const directory of process.argv.slice(2).map((path) => join(root, path))) {
      if (existsSync(join(directory, "package.json"))) await installNode(directory);
      if (existsSync(join(directory, "requirements.txt"))) await installPython(directory);
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
