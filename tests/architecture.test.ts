// The house: which file may import which. The table is the promise of docs/architecture.md.
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

type Floors = Readonly<Record<string, number>>;

// A room is a folder directly below src, or a single file there.
const houses: Readonly<Record<string, Floors>> = {
  runtime: {
    "index.ts": 9,
    "llm.ts": 9,
    llm: 8,
    "runtime.ts": 7,
    "endpoint.ts": 6,
    "foundation.ts": 6,
    egress: 5,
    ingress: 5,
    discovery: 4,
    telemetry: 4,
    "flags.ts": 4,
    "config.ts": 2,
    "runtime-settings.ts": 3,
    net: 3,
    system: 3,
    wire: 2,
    http: 2,
    logging: 2,
    "engine.ts": 2,
    trace: 1,
    "lifetime.ts": 1,
    "memory-budget.ts": 1,
    "strangers.ts": 1,
    "worker-errors.ts": 1,
    "metrics.ts": 1,
    instruments: 0,
    "address.ts": 0,
    "condition.ts": 0,
    "counts.ts": 0,
    "excerpt.ts": 0,
    "errors.ts": 0,
    "hidden-text.ts": 0,
    "ids.ts": 0,
    "version.ts": 0,
    "settings.ts": 0,
    "wall-clock.ts": 0,
  },
  frontend: {
    "cli.ts": 11,
    "index.ts": 10,
    "server.ts": 9,
    "app.ts": 8,
    "intake.ts": 7,
    "listener.ts": 7,
    "unmatched.ts": 7,
    "routes.ts": 6,
    openai: 5,
    anthropic: 5,
    "ops.ts": 5,
    "inference.ts": 4,
    "generate.ts": 3,
    "transcript.ts": 1,
    "request-log.ts": 2,
    "exchange.ts": 1,
    "models.ts": 2,
    "pools.ts": 1,
    "cards.ts": 0,
    "parts.ts": 1,
    "security.ts": 1,
    "deadlines.ts": 0,
    "departed.ts": 0,
    metrics: 0,
    lineage: 0,
    http: 0,
    "options.ts": 1,
    "request-span.ts": 0,
    "fields.ts": 0,
  },
  "mock-worker": { "cli.ts": 4, "index.ts": 3, "engine.ts": 2, "fault-control.ts": 2, "options.ts": 1, "faults.ts": 0 },
};
const forbiddenNames = new Set(["utils", "helpers", "common", "misc", "manager", "data", "info"]);
const maxLines = 300;
const environmentReaders = /\/(?:config|cli)\.ts$/;

function importsOf(text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\b[^"';]*?(?:from\s*)?"([^"]+)";/gms);
  const expressions = text.matchAll(/\bimport\(\s*"([^"]+)"/g); // also of types
  return [...statements, ...expressions].map(([, specifier]) => specifier ?? "");
}

function roomOf(path: string): { house: string; room: string } {
  const [, house = "", , room = ""] = path.split("/");
  return { house, room };
}

function checkImport(file: string, specifier: string): string[] {
  const from = roomOf(file);
  if (!specifier.startsWith(".")) return checkPackage(from, specifier).map((problem) => `${file}: ${problem}`);
  if (!specifier.endsWith(".ts")) return [`${file}: import of ${specifier} lacks .ts`];
  const target = join(dirname(file), specifier);
  const to = roomOf(target);
  if (to.house !== from.house || !target.includes("/src/")) return [`${file}: imports ${target} outside its package`];
  if (to.room === from.room) return [];
  const floors = houses[from.house] ?? {};
  const [above, below] = [floors[from.room] ?? -1, floors[to.room] ?? Number.POSITIVE_INFINITY];
  return below < above ? [] : [`${file} (floor ${above}) imports ${target} (floor ${below})`];
}

// The OpenTelemetry SDK costs time to load: one room holds it, and that room is loaded when it is wanted.
const telemetryPackage = /^@(?:opentelemetry|grpc)\//;

function checkPackage({ house, room }: { house: string; room: string }, specifier: string): string[] {
  if (telemetryPackage.test(specifier) && room !== "telemetry") return [`imports ${specifier} outside telemetry`];
  if (specifier.startsWith("@dyn/")) {
    const allowed = house !== "runtime" && ["@dyn/runtime", "@dyn/runtime/llm"].includes(specifier);
    return allowed ? [] : [`imports ${specifier}`];
  }
  if (specifier === "node:process") return ["imports node:process, where the rules look for the global one"];
  return isBuiltin(specifier) && !specifier.startsWith("node:") ? [`imports ${specifier} without node:`] : [];
}

function checkFile({ path, text }: SourceFile): string[] {
  const { house, room } = roomOf(path);
  const name = path.split("/").at(-1)?.replace(/\.ts$/, "") ?? "";
  const problems = importsOf(text).flatMap((specifier) => checkImport(path, specifier));
  if (houses[house]?.[room] === undefined) problems.push(`${path}: no room ${room} in ${house}`);
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || forbiddenNames.has(name)) problems.push(`${path}: name`);
  if (text.split("\n").length > maxLines + 1) problems.push(`${path}: longer than ${maxLines} lines`);
  if (text.includes("process.env") && !environmentReaders.test(path)) problems.push(`${path}: reads the environment`);
  if (/process\.exit\b(?!Code)/.test(text) && !processEnders.test(path)) problems.push(`${path}: ends the process`);
  if (/^export default|\bas default\b/m.test(text)) problems.push(`${path}: default export`);
  if (/^export \*/m.test(text)) problems.push(`${path}: export *`);
  return problems;
}

// A second signal cannot wait for the program that was told of the first.
const processEnders = /\/src\/cli\.ts$|^packages\/runtime\/src\/lifetime\.ts$/;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function readSources(): SourceFile[] {
  return Object.keys(houses).flatMap((house) => {
    const source = join(root, "packages", house, "src");
    const names = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    return names.map((name) => ({ path: relative(root, join(source, name)), text: readFileSync(join(source, name), "utf8") }));
  });
}

describe("the architecture", () => {
  test("holds for every source file", () => {
    const files = readSources();
    expect(files.length).toBeGreaterThan(40);
    expect(files.flatMap(checkFile)).toEqual([]);
  });

  test.each([
    ["an upward import", "packages/runtime/src/wire/x.ts", `import { a } from "../net/connection.ts";`],
    ["a multi-line upward import", "packages/runtime/src/errors.ts", `import {\n  a,\n} from "./config.ts";`],
    ["a dynamic upward import", "packages/runtime/src/wire/x.ts", `const a = await import("../net/connection.ts");`],
    ["an upward import of a type", "packages/runtime/src/wire/x.ts", `type A = import("../net/connection.ts").A;`],
    ["egress importing ingress", "packages/runtime/src/egress/x.ts", `import { a } from "../ingress/push-handler.ts";`],
    ["openai importing anthropic", "packages/frontend/src/openai/x.ts", `export { a } from "../anthropic/y.ts";`],
    ["an import past the package", "packages/frontend/src/ops.ts", `import { a } from "../../runtime/src/ids.ts";`],
    ["a sibling package", "packages/frontend/src/ops.ts", `import { a } from "@dyn/mock-worker";`],
    ["a builtin without its prefix", "packages/runtime/src/ids.ts", `import { a } from "child_process";`],
    ["the environment by import", "packages/runtime/src/ids.ts", `import { env } from "node:process";`],
    ["OpenTelemetry outside its room", "packages/runtime/src/trace/x.ts", `import { trace } from "@opentelemetry/api";`],
    ["an unknown room", "packages/runtime/src/misc/x.ts", ""],
    ["a forbidden name", "packages/runtime/src/wire/utils.ts", ""],
    ["the environment read elsewhere", "packages/runtime/src/ids.ts", "process.env.X"],
    ["an exit elsewhere", "packages/runtime/src/ids.ts", "process.exit(1)"],
    ["an exit by another name", "packages/frontend/src/ops.ts", "const { exit = process.exit } = options;"],
    ["a default export", "packages/runtime/src/ids.ts", "export default 1;"],
    ["a default export by name", "packages/runtime/src/ids.ts", "export { a as default };"],
    ["a file of 301 lines", "packages/runtime/src/ids.ts", "\n".repeat(301)],
  ])("notices %s", (_name, path, text) => {
    expect(checkFile({ path, text })).not.toEqual([]);
  });
});
