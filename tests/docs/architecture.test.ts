// The house is a promise: each file in its room, imports downward only. Regenerate the tables of docs/architecture.md:
// UPDATE_DOCS=1 npx vitest run tests/docs/architecture.test.ts
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { describeHouses, houses } from "./house.ts";

interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

const forbiddenNames = new Set(["utils", "helpers", "common", "misc", "manager", "data", "info"]);
const maxLines = 300;
const environmentReaders = /\/(?:settings\/environment|cli)\.ts$/;

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
  if (!specifier.startsWith(".")) return checkPackage(file, specifier).map((problem) => `${file}: ${problem}`);
  if (!specifier.endsWith(".ts")) return [`${file}: import of ${specifier} lacks .ts`];
  const target = join(dirname(file), specifier);
  const to = roomOf(target);
  if (to.house !== from.house || !target.includes("/src/")) return [`${file}: imports ${target} outside its package`];
  if (to.room === from.room) return [];
  const rooms = houses[from.house] ?? {};
  const [above, below] = [rooms[from.room]?.floor ?? -1, rooms[to.room]?.floor ?? Number.POSITIVE_INFINITY];
  return below < above ? [] : [`${file} (floor ${above}) imports ${target} (floor ${below})`];
}

// The OpenTelemetry SDK costs time to load: one room holds it, and that room is loaded when it is wanted.
const telemetryPackage = /^@(?:opentelemetry|grpc)\//;

// The mock worker's tests of clients need a frontend; nothing else of it does.
const frontendUser = "packages/mock-worker/src/testing.ts";

const packagesBelow: Readonly<Record<string, readonly string[]>> = {
  lineage: ["@dyn/runtime", "@dyn/runtime/internal"],
  frontend: ["@dyn/runtime", "@dyn/runtime/llm", "@dyn/runtime/internal", "@dyn/lineage", "@dyn/lineage/trace"],
  "mock-worker": ["@dyn/runtime", "@dyn/runtime/llm", "@dyn/runtime/internal", "@dyn/upstream-worker"],
  "upstream-worker": ["@dyn/runtime", "@dyn/runtime/llm", "@dyn/runtime/internal"],
};

function checkPackage(file: string, specifier: string): string[] {
  const { house, room } = roomOf(file);
  if (telemetryPackage.test(specifier) && room !== "otel") return [`imports ${specifier} outside otel`];
  if (specifier === "@dyn/frontend" && file === frontendUser) return [];
  if (specifier.startsWith("@dyn/")) {
    return packagesBelow[house]?.includes(specifier) ? [] : [`imports ${specifier}`];
  }
  if (specifier === "node:process") return ["imports node:process, where the rules look for the global one"];
  return isBuiltin(specifier) && !specifier.startsWith("node:") ? [`imports ${specifier} without node:`] : [];
}

function checkFile({ path, text }: SourceFile): string[] {
  const { house, room } = roomOf(path);
  const name =
    path
      .split("/")
      .at(-1)
      ?.replace(/(?:\.d)?\.ts$/, "") ?? "";
  const problems = importsOf(text).flatMap((specifier) => checkImport(path, specifier));
  if (houses[house]?.[room] === undefined) problems.push(`${path}: no room ${room} in ${house}`);
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || forbiddenNames.has(name)) problems.push(`${path}: name`);
  if (text.split("\n").length > maxLines + 1) problems.push(`${path}: longer than ${maxLines} lines`);
  if (/^(?! *(?:\/\/|\/?\*)).*process\.env/m.test(text) && !environmentReaders.test(path))
    problems.push(`${path}: reads the environment`);
  if (/process\.exit\b(?!Code)/.test(text) && !processEnders.test(path)) problems.push(`${path}: ends the process`);
  if (/^export default|\bas default\b/m.test(text)) problems.push(`${path}: default export`);
  if (/^export \*/m.test(text)) problems.push(`${path}: export *`);
  return problems;
}

// A second signal cannot wait for the program that was told of the first.
const processEnders = /\/src\/cli\.ts$|^packages\/runtime\/src\/lifetime\.ts$/;

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

function readSources(): SourceFile[] {
  return Object.keys(houses).flatMap((house) => {
    const source = join(root, "packages", house, "src");
    const names = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    return names.map((name) => ({
      path: relative(root, join(source, name)),
      text: readFileSync(join(source, name), "utf8"),
    }));
  });
}

/** Files that import each other, by whatever way round: one line a circle. */
function findCircles(files: readonly SourceFile[]): string[] {
  const imports = new Map(files.map(({ path, text }) => [path, localImports(path, text)]));
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) circles.push(trail.slice(trail.indexOf(path)).join(" -> "));
    if (done.has(path) || trail.includes(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return circles;
}

function localImports(path: string, text: string): string[] {
  const specifiers = importsOf(text).filter((specifier) => specifier.startsWith("."));
  return specifiers.map((specifier) => join(dirname(path), specifier));
}

describe("the architecture", () => {
  test("holds for every source file", () => {
    const files = readSources();
    expect(files.length).toBeGreaterThan(40);
    expect(files.flatMap(checkFile)).toEqual([]);
  });

  test("has no circle between files", () => {
    expect(findCircles(readSources())).toEqual([]);
    const [one, two] = [`import "./b.ts";`, `import type { A } from "./a.ts";`];
    const planted = [
      { path: "packages/runtime/src/wire/a.ts", text: one },
      { path: "packages/runtime/src/wire/b.ts", text: two },
    ];
    expect(findCircles(planted)).toEqual(["packages/runtime/src/wire/a.ts -> packages/runtime/src/wire/b.ts"]);
  });

  test("is what docs/architecture.md shows", () => {
    const page = join(root, "docs/architecture.md");
    const before = readFileSync(page, "utf8");
    const [head = "", rest = ""] = before.split("<!-- floors -->\n");
    const [, tail = ""] = rest.split("<!-- end of floors -->\n");
    const expected = `${head}<!-- floors -->\n\n${describeHouses()}\n\n<!-- end of floors -->\n${tail}`;
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(page, expected);
    expect(readFileSync(page, "utf8")).toBe(expected);
  });

  test.each([
    ["an upward import", "packages/runtime/src/wire/x.ts", `import { a } from "../net/connection.ts";`],
    ["a multi-line upward import", "packages/runtime/src/errors.ts", `import {\n  a,\n} from "./settings/flags.ts";`],
    ["a dynamic upward import", "packages/runtime/src/wire/x.ts", `const a = await import("../net/connection.ts");`],
    ["an upward import of a type", "packages/runtime/src/wire/x.ts", `type A = import("../net/connection.ts").A;`],
    ["egress importing ingress", "packages/runtime/src/egress/x.ts", `import { a } from "../ingress/run-request.ts";`],
    ["openai importing anthropic", "packages/frontend/src/openai/x.ts", `export { a } from "../anthropic/y.ts";`],
    ["an import past the package", "packages/frontend/src/ops.ts", `import { a } from "../../runtime/src/ids.ts";`],
    ["a sibling package", "packages/frontend/src/ops.ts", `import { a } from "@dyn/mock-worker";`],
    ["the frontend in a worker", "packages/mock-worker/src/index.ts", `import { a } from "@dyn/frontend";`],
    ["a builtin without its prefix", "packages/runtime/src/ids.ts", `import { a } from "child_process";`],
    ["the environment by import", "packages/runtime/src/ids.ts", `import { env } from "node:process";`],
    [
      "OpenTelemetry outside its room",
      "packages/runtime/src/trace/x.ts",
      `import { trace } from "@opentelemetry/api";`,
    ],
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
