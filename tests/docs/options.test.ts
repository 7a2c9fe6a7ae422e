// Every option of every public function says what it is, in which unit, and what holds without it.
// docs/guide/options.md is made of that. Regenerate: UPDATE_DOCS=1 npx vitest run tests/docs/options.test.ts
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { frontendSettings } from "../../packages/frontend/src/settings/frontend-settings.ts";
import { mockSettings } from "../../packages/mock-worker/src/options.ts";
import { upstreamSettings } from "../../packages/upstream-worker/src/options.ts";
import { runtimeSettings } from "../../packages/runtime/src/settings/runtime-settings.ts";
import { root } from "../support/cluster.ts";

interface Option {
  readonly name: string;
  readonly type: string;
  /** Text of its docstring, "" without one. */
  readonly doc: string;
  /** It may be left out. */
  readonly isOptional: boolean;
}

interface Options {
  /** Interfaces it has the members of, too. */
  readonly bases: readonly string[];
  /** Interfaces whose members all may be left out. */
  readonly partials: readonly string[];
  readonly members: readonly Option[];
}

const entryPoints = [
  "runtime/src/index.ts",
  "runtime/src/llm.ts",
  "frontend/src/index.ts",
  "mock-worker/src/index.ts",
  "mock-worker/src/testing.ts",
  "upstream-worker/src/index.ts",
];
const member =
  /(?:^ {2}\/\*\*(?<doc>(?:(?!\*\/).)*)\*\/\n)?^ {2}(?:readonly )?(?<name>\w+)(?<isOptional>\?)?(?<type>[:(].*?);$/gms;

function readSources(): string {
  const packages = ["runtime", "frontend", "mock-worker", "upstream-worker"].map((name) =>
    join(root, "packages", name, "src"),
  );
  return packages
    .flatMap((source) =>
      readdirSync(source, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => readFileSync(join(source, name), "utf8")),
    )
    .join("\n");
}

function namesIn(text: string, shape: RegExp): string[] {
  return [...text.matchAll(shape)].map(([, name = ""]) => name);
}

/** The interface of that name. @throws Error if there is none. */
function readOptions(sources: string, name: string): Options {
  const [, head, body] =
    new RegExp(String.raw`^export interface ${name}(?:<[^>]+>)?(?: extends ([^{]*?))? \{\n(.*?)^\}`, "ms").exec(
      sources,
    ) ?? [];
  if (body === undefined) throw new Error(`no interface ${name}`);
  const partial = /Partial<(\w+)>/g;
  const members = [...body.matchAll(member)].map(({ groups = {} }) => ({
    name: groups["name"] ?? "",
    type: groups["type"] ?? "",
    doc: groups["doc"]?.trim() ?? "",
    isOptional: groups["isOptional"] !== undefined,
  }));
  return {
    bases: namesIn((head ?? "").replaceAll(partial, "").replaceAll(/<\w+>/g, ""), /(\w+)/g),
    partials: [head ?? "", ...members.map(({ type }) => type)].flatMap((text) => namesIn(text, partial)),
    members,
  };
}

/** All interfaces of options that the public functions take, and whether all of their members may be left out. */
function findOptions(
  sources: string,
  roots: readonly string[],
): Map<string, Options & { readonly isPartial: boolean }> {
  const found = new Map<string, Options & { readonly isPartial: boolean }>();
  const visit = (name: string, isPartial: boolean): void => {
    const options = readOptions(sources, name);
    found.set(name, { ...options, isPartial });
    for (const base of options.bases) visit(base, isPartial);
    for (const partial of options.partials) visit(partial, true);
  };
  for (const name of roots) visit(name, /Config$|^(?:Frontend|Mock)Options$/.test(name));
  return found;
}

/** What is missing in a docstring. */
function findFaults(owner: string, { name, type, doc, isOptional }: Option, isPartial: boolean): string[] {
  const isTold = (word: RegExp): boolean => word.test(doc);
  return [
    ...(doc === "" ? ["no docstring"] : []),
    ...((isOptional || isPartial) && !isTold(/\bDefault\b/) ? ["no default"] : []),
    ...(name.endsWith("Ms") && !isTold(/\bms\b/) ? ["no unit"] : []),
    ...(name.endsWith("Bytes") && !isTold(/\bbytes\b/i) ? ["no unit"] : []),
    ...(/(?:Secs|Seconds|Mi?b|Kb)$/.test(name) ? ["options are in ms and bytes"] : []),
    ...(type.startsWith(": {") ? ["options without a name of their own"] : []),
  ].map((fault) => `${owner}.${name}: ${fault}`);
}

function publicOptions(): string[] {
  return entryPoints
    .map((path) => readFileSync(join(root, "packages", path), "utf8"))
    .flatMap((text) => [
      ...namesIn(text, /\b(\w+(?:Options|Config))\b(?=[^;]*\} from)/g),
      ...namesIn(text, /^export interface (\w+Options)\b/gm),
      ...namesIn(text, /\b(\w+Policy)\b(?=[^;]*\} from)/g).filter((name) => name !== "RoutingPolicy"),
    ])
    .filter((name, index, all) => all.indexOf(name) === index);
}

/** Options that are settings: docs/configuration.md has them. */
const areSettings = /Config$|^(?:Frontend|Mock|Http)Options$|^HttpLimits$/;

/** One row of a table: the option, its type, and its docstring on one line. */
function toRow({ name, type, doc, isOptional }: Option): string {
  const shown = (text: string): string =>
    text
      .replaceAll(/\s*\n\s*\*?\s*/g, " ")
      .replaceAll("|", String.raw`\|`)
      .trim();
  const mark = isOptional ? "" : ", must be given";
  return `| \`${name}\`${mark} | \`${shown(type.replace(/^: /, ""))}\` | ${shown(doc.replaceAll(/\{@link (\w+)\}/g, "`$1`"))} |`;
}

function toTable(name: string, { bases, partials, members }: Options): string {
  const more = [...bases, ...partials].map((base) =>
    areSettings.test(base) ? "[settings](../configuration.md)" : `\`${base}\``,
  );
  const also =
    more.length === 0 ? "" : `Also those of ${more.filter((base, at) => more.indexOf(base) === at).join(", ")}.\n\n`;
  const rows = members.map(toRow).join("\n");
  return `## ${name}\n\n${also}${rows === "" ? "" : `| option | type | |\n| --- | --- | --- |\n${rows}\n\n`}`;
}

describe("options of public functions", () => {
  const sources = readSources();
  const all = findOptions(sources, publicOptions());

  test("each has a docstring, with its unit and its default", () => {
    expect([...all.keys()]).toEqual(expect.arrayContaining(["RuntimeOptions", "RuntimeConfig", "GenerateOptions"]));
    expect([...all.values()].flatMap(({ members }) => members).length).toBeGreaterThan(100);
    const faults = [...all].flatMap(([name, { members, isPartial }]) =>
      members.flatMap((option) => findFaults(name, option, isPartial)),
    );
    expect(faults).toEqual([]);
  });

  test("are all in a page of the guide", () => {
    const page = join(root, "docs/guide/options.md");
    const tables = [...all]
      .filter(([name]) => !areSettings.test(name))
      .toSorted(([one], [other]) => (one < other ? -1 : 1));
    const expected = `# Every option

What the public functions take, made from the docstrings in the code. The same text stands in your editor when you hover over an option. [Settings](../configuration.md) have a page of their own.

${tables
  .map(([name, options]) => toTable(name, options))
  .join("")
  .trimEnd()}
`;
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, expected);
    expect(readFileSync(page, "utf8")).toBe(expected);
  });

  test("one without is noticed", () => {
    const planted = `export interface PlantedOptions extends Partial<MoreOptions> {
  readonly bare?: string;
  /** Somewhere. Default: nowhere. */
  readonly where?: { readonly at: string };
  /** How long. Default \`1\`. */
  readonly waitMs?: number;
  /** What must be given. */
  readonly given: string;
}
export interface MoreOptions {
  /** Most of it, MiB. */
  readonly limitMb: number;
}
`;
    const faults = [...findOptions(planted, ["PlantedOptions"])].flatMap(([name, { members, isPartial }]) =>
      members.flatMap((option) => findFaults(name, option, isPartial)),
    );
    expect(faults).toEqual([
      "PlantedOptions.bare: no docstring",
      "PlantedOptions.bare: no default",
      "PlantedOptions.where: options without a name of their own",
      "PlantedOptions.waitMs: no unit",
      "MoreOptions.limitMb: no default",
      "MoreOptions.limitMb: options are in ms and bytes",
    ]);
  });

  test("a default that is told is that of the setting", () => {
    const told = new Map([...all.values()].flatMap(({ members }) => members.map(({ name, doc }) => [name, doc])));
    const settings = Object.entries({ ...runtimeSettings, ...frontendSettings, ...mockSettings, ...upstreamSettings });
    const plain = settings.filter(([name, { default: fallback }]) => name !== "fileKv" && fallback !== "");
    expect(plain.length).toBeGreaterThan(60);
    for (const [name, { default: fallback }] of plain) {
      const shown = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
      expect([name, told.get(name)]).toEqual([name, expect.stringContaining(`Default \`${shown}\``)]);
    }
  });
});
