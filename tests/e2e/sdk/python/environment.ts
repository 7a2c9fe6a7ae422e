/** The virtual environment of the Python clients: made on first use, kept in node_modules/.cache. As a program it makes it and prints its interpreter. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const cache = join(here, "../../../../node_modules/.cache/dyn");
const official = join(here, "requirements.txt");
const candidates = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
const probe =
  "import sys, venv, ensurepip; print(sys.version, sys.executable) if sys.version_info >= (3, 10) else sys.exit(1)";

interface Ended {
  readonly ok: boolean;
  readonly output: string;
}

function run(command: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ ok: false, output: error.message }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const { ok, output } = await run(command, args);
  if (!ok) throw new Error(`${command} ${args.join(" ")} failed:\n${output.trim()}`);
}

interface Interpreter {
  readonly command: string;
  readonly version: string;
}

async function findInterpreter(): Promise<Interpreter | undefined> {
  for (const command of candidates) {
    const { ok, output } = await run(command, ["-c", probe]);
    if (ok) return { command, version: output.trim() };
  }
  return undefined;
}

// On a bare Debian machine the one step that is missing can be taken here.
async function findOrInstall(): Promise<Interpreter> {
  const found = (await findInterpreter()) ?? (await installInterpreter());
  if (found) return found;
  const advice = "Install it (Debian: apt-get install python3-venv) and run them again";
  throw new Error(
    `the tests of the Python clients need Python 3.10 or newer with venv; tried ${candidates.join(", ")}. ${advice}`,
  );
}

async function installInterpreter(): Promise<Interpreter | undefined> {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return undefined;
  await run("apt-get", ["update", "-qq"]);
  await run("apt-get", ["install", "-y", "-qq", "python3-venv"]);
  return findInterpreter();
}

/** Path of an interpreter that has what a file with hashes requires, by default the official clients. @throws Error saying what is missing. */
export async function preparePython(requirements = official): Promise<string> {
  const { command, version } = await findOrInstall();
  const hash = createHash("sha256")
    .update(version)
    .update(await readFile(requirements))
    .digest("hex");
  const home = join(cache, `python-${hash.slice(0, 16)}`);
  const interpreter = join(home, "bin", "python");
  if (existsSync(interpreter)) return interpreter;
  // Made aside and moved when it is whole: an interrupted or a second run never sees half of one.
  const draft = `${home}-${process.pid}`;
  await mkdir(cache, { recursive: true });
  try {
    await must(command, ["-m", "venv", draft]);
    const quiet = ["--quiet", "--no-compile", "--no-input", "--disable-pip-version-check"];
    await must(join(draft, "bin", "python"), [
      "-m",
      "pip",
      "install",
      ...quiet,
      "--require-hashes",
      "-r",
      requirements,
    ]);
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(interpreter)) throw error;
  }
  return interpreter;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    process.stdout.write(`${await preparePython()}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
