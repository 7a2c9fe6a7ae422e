// Installs and builds a checkout: `npm run setup`. Runs on Node 18 or newer with npm alone; repeating it costs about a second.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pnpm = "pnpm@12.21.0";
const binaries = join(root, "node_modules", ".bin");
const packages = ["runtime", "lineage", "frontend", "mock-worker", "upstream-worker"];

/** What tsc needs to build the packages. */
export const buildArguments = ["-b", ...packages.map((name) => `packages/${name}`)];

/** The pinned Node.js, once set-up has installed it. */
export const node = join(binaries, "node");

function say(text) {
  process.stderr.write(`${text}\n`);
}

// Run a long step quietly, with a sign of life; its output is shown only if it fails, and then what to try.
async function step(name, command, args, advice) {
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  say(`${name} …`);
  const beat = setInterval(() => say(`${name} … ${seconds()}`), 10_000);
  const child = spawn(command, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, CI: "true", NODE_DISABLE_COMPILE_CACHE: "1" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const code = await new Promise((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(1);
    });
    child.on("close", resolve);
  });
  clearInterval(beat);
  if (code !== 0) throw new Error(`${output.trim()}\n${name} failed after ${seconds()}: ${advice}`);
  say(`${name}: done in ${seconds()}`);
}

function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .filter((name) => name !== "node_modules" && name !== "dist")
    .flatMap((name) => filesBelow(join(path, name)));
}

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths.flatMap(filesBelow)) hash.update(path).update("\0").update(readFileSync(path)).update("\0");
  return hash.digest("hex");
}

// A step is skipped when its inputs are those of its last success and its results are still there.
async function once(name, inputs, results, run) {
  const stamp = join(root, "node_modules", ".cache", "dyn", name);
  const hash = hashOf(inputs.map((path) => join(root, path)));
  const isDone =
    existsSync(stamp) && readFileSync(stamp, "utf8") === hash && results.every((path) => existsSync(join(root, path)));
  if (isDone) return;
  await run();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

async function install() {
  const manifests = [
    "package.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ...packages.map((name) => `packages/${name}/package.json`),
  ];
  const results = [
    "node_modules/.bin/node",
    "node_modules/.bin/tsc",
    ...packages.map((name) => `packages/${name}/node_modules`),
  ];
  await once("install", manifests, results, () =>
    step(
      "installing packages",
      "npx",
      ["--yes", pnpm, "install", "--frozen-lockfile"],
      "check that npm reaches its registry (`npm ping`), then try again",
    ),
  );
}

async function build() {
  const sources = packages.flatMap((name) => [`packages/${name}/src`, `packages/${name}/tsconfig.json`]);
  const results = packages.map((name) => `packages/${name}/dist/index.js`);
  await once("build", ["tsconfig.base.json", "pnpm-lock.yaml", ...sources], results, () =>
    step("building", join(binaries, "tsc"), buildArguments, "the sources have the errors above"),
  );
}

async function pack(folder) {
  mkdirSync(folder, { recursive: true });
  for (const name of packages) {
    const args = ["--yes", pnpm, "--dir", `packages/${name}`, "pack", "--pack-destination", folder];
    await step(`packing ${name}`, "npx", args, "the packer's errors are above");
  }
}

// CycloneDX by pnpm, one file per package: of what the lock file has for all platforms, and of what is installed on this one, which also knows licences.
async function list(folder, { isInstalled }) {
  const out = join(folder, "%s-%v.cdx.json");
  const args = [
    "--filter",
    "./packages/*",
    "sbom",
    "--sbom-format",
    "cyclonedx",
    "--sbom-spec-version",
    "1.6",
    "--prod",
    "--split",
    "--out",
    out,
  ];
  const name = `listing what the packages need${isInstalled ? " here" : ""}`;
  await step(
    name,
    "npx",
    ["--yes", pnpm, ...args, ...(isInstalled ? [] : ["--lockfile-only"])],
    "pnpm's errors are above",
  );
}

async function orExit(run) {
  try {
    await run();
  } catch (error) {
    say(error.message);
    process.exit(1);
  }
}

/** Install what the checks need, without building; on failure print why and what to try, and exit. */
export async function installOrExit() {
  await orExit(install);
}

/** Install and build; on failure print why and what to try, and exit. */
export async function setUpOrExit() {
  await orExit(async () => {
    await install();
    await build();
  });
}

/** Make a tarball of each built package in `folder`; on failure print why, and exit. */
export async function packOrExit(folder) {
  await orExit(() => pack(folder));
}

/** Write pnpm's lists of what each package needs to `folder`; on failure print why, and exit. */
export async function listOrExit(folder, options) {
  await orExit(() => list(folder, options));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await setUpOrExit();
  const commands = ["dyn-frontend", "dyn-mock-worker", "dyn-upstream-worker"];
  say(`ready: ${commands.map((name) => `npx --no-install ${name} --help`).join(", ")}`);
}
