// What users get: examples that run, commands that start and stop, tarballs that work elsewhere.
import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, lineOf, postChat, root, startProgram } from "../support/cluster.ts";
import { openDirectory, type Directory } from "../support/directory.ts";

const run = promisify(execFile);
const node = join(root, "node_modules/.bin/node");

interface Manifest {
  readonly name: string;
  readonly version?: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>;
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")) as Manifest;
}

test("the greeter example serves the client example", async () => {
  await using directory = await openDirectory("dyn-packages-");
  const env = { DYN_FILE_KV: directory.path };
  await using greeter = startProgram("node", ["examples/greeter.ts"], env);
  await using client = startProgram("node", ["examples/client.ts"], env);
  expect(await client.exited).toBe(0);
  expect(client.stdout()).toBe("hello\nada\n");
  const said = await eventually("both lines", () => {
    const lines = greeter.lines().filter(({ message }) => message === "saying");
    return lines.length === 2 && lines;
  });
  const received = greeter.lines().find(({ message }) => message === "request received");
  for (const line of said)
    expect(line).toMatchObject({
      request_id: received?.["request_id"],
      trace_id: received?.["trace_id"],
      target: "demo::greeter::generate",
    });
  greeter.kill("SIGTERM");
  expect(await greeter.exited).toBe(0);
});

test("the shouter example is a model behind the frontend, held to every limit", async () => {
  await using directory = await openDirectory("dyn-packages-");
  const env = { DYN_FILE_KV: directory.path };
  await using frontend = startProgram("dyn-frontend", ["--http-port", "0"], env);
  await using shouter = startProgram("node", ["examples/shouter.ts"], env);
  await lineOf(frontend, "instance joined");
  const url = String((await lineOf(frontend, "frontend is listening"))["url"]);
  const ask = async (more: object): Promise<unknown> =>
    (
      await postChat(url, { model: "shouter", messages: [{ role: "user", content: "not so loud please" }], ...more })
    ).json();
  expect(await ask({})).toMatchObject({
    choices: [{ message: { content: "NOT SO LOUD PLEASE" }, finish_reason: "stop" }],
    usage: { completion_tokens: 4 },
  });
  expect(await ask({ max_tokens: 2 })).toMatchObject({
    choices: [{ message: { content: "NOT SO" }, finish_reason: "length" }],
  });
  expect(await ask({ stop: " LOUD" })).toMatchObject({
    choices: [{ message: { content: "NOT SO" }, finish_reason: "stop" }],
  });
  shouter.kill("SIGTERM");
  expect(await shouter.exited).toBe(0);
});

test.each([
  "frontend/bin/dyn-frontend.js",
  "mock-worker/bin/dyn-mock-worker.js",
  "upstream-worker/bin/dyn-upstream-worker.js",
])("%s says in one line that Node.js is too old", async (bin) => {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.18.0" } })`;
  await using program = startProgram("node", ["--import", `data:text/javascript,${pretend}`, join("packages", bin)]);
  expect(await program.exited).toBe(1);
  expect(program.stderr()).toMatch(/^dyn-[a-z-]+: needs Node\.js 22\.19 or newer, this is 22\.18\.0\n$/);
});

test.each([
  "frontend/bin/dyn-frontend.js",
  "mock-worker/bin/dyn-mock-worker.js",
  "upstream-worker/bin/dyn-upstream-worker.js",
])("%s keeps what V8 compiles beside its code, and starts where it cannot", async (bin) => {
  await using directory = await openDirectory("dyn-compiled-");
  const start = async (): Promise<string> => {
    const runner = ["env", "--unset=NODE_COMPILE_CACHE"]; // which the tests have set, to be faster
    await using program = startProgram("node", [join(directory.path, "bin/program.js")], {}, { runner });
    expect(await program.exited, program.stderr()).toBe(0);
    expect(program.stderr()).toBe("");
    return program.stdout();
  };
  for (const folder of ["bin", "dist"]) await mkdir(join(directory.path, folder));
  await writeFile(join(directory.path, "package.json"), JSON.stringify({ type: "module" }));
  await copyFile(join(root, "packages", bin), join(directory.path, "bin/program.js"));
  const shown = `import { getCompileCacheDir } from "node:module"; console.log(getCompileCacheDir() ?? "nowhere");`;
  await writeFile(join(directory.path, "dist/cli.js"), shown);
  expect(await start()).toContain(join(directory.path, ".compile-cache"));
  await rm(join(directory.path, ".compile-cache"), { recursive: true });
  await writeFile(join(directory.path, ".compile-cache"), ""); // no directory can be made there
  expect(await start()).toBe("nowhere\n");
});

test("the packages name each other by the version they have, so that nobody else's is ever installed", async () => {
  const manifests = await Promise.all(
    ["", ...["runtime", "lineage", "frontend", "mock-worker", "upstream-worker"].map((name) => `packages/${name}`)].map(
      readManifest,
    ),
  );
  const versions = new Map(manifests.map(({ name, version }) => [name, version]));
  const named = manifests
    .flatMap(({ dependencies }) => Object.entries(dependencies))
    .filter(([name]) => name.startsWith("@dyn/"));
  expect(named).toHaveLength(11);
  for (const [name, version] of named) expect(version).toBe(versions.get(name));
});

interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Component {
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses: readonly { readonly license: { readonly id: string } }[];
}

// Every package once, with its hash and a licence that asks for no more than its name; each is needed by another, down from the packed one.
async function checkSbom(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  const { bomFormat, specVersion, metadata, components, dependencies } = JSON.parse(text) as Sbom;
  expect([bomFormat, specVersion]).toEqual(["CycloneDX", "1.6"]);
  for (const trace of [root, homedir(), tmpdir(), "registry", "timestamp", "serialNumber"])
    expect(text).not.toContain(trace);
  expect(text.match(/https?:/g)).toHaveLength(1); // the schema
  const refs = components.map((component) => component["bom-ref"]);
  expect(refs).toEqual([...new Set(refs)].toSorted());
  for (const { group, hashes = [], licenses } of components) {
    expect(
      licenses
        .map(({ license }) => license.id)
        .filter((id) => !["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"].includes(id)),
    ).toEqual([]);
    expect(hashes.map(({ alg, content }) => `${alg} ${content.length}`)).toEqual(
      group === "@dyn" ? [] : ["SHA-512 128"],
    );
  }
  const needs = new Map(dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const found = new Set([metadata.component["bom-ref"]]);
  for (const ref of found) for (const needed of needs.get(ref) ?? []) found.add(needed);
  expect([...found].toSorted()).toEqual([...refs, metadata.component["bom-ref"]].toSorted());
  const {
    dependencies: named,
    peerDependencies = {},
    peerDependenciesMeta = {},
  } = await readManifest(`packages/${metadata.component.name}`);
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  const direct = (needs.get(metadata.component["bom-ref"]) ?? []).map((ref) =>
    decodeURIComponent(ref.slice("pkg:npm/".length, ref.lastIndexOf("@"))),
  );
  expect(direct.toSorted()).toEqual([...Object.keys(named), ...peers].toSorted());
}

// A worker and a frontend as a user of the library starts them; asks until the frontend has seen the worker.
const program = `import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createRuntime, type Runtime } from "@dyn/runtime";
import type { Engine } from "@dyn/runtime/llm";
export type Both = [Runtime, Engine];
const config = { fileKv: process.argv[2] ?? "", log: "error" };
await using runtime = await createRuntime({ config });
await using worker = await startMockWorker({ modelName: "packed", config });
await using frontend = await createFrontend({ httpPort: 0, config });
const ask = (): Promise<Response> => fetch(frontend.url + "/v1/chat/completions", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ model: "packed", messages: [{ role: "user", content: "it works" }] }) });
let response = await ask();
for (let tries = 0; !response.ok && tries < 1_000; tries += 1) { await new Promise((resolve) => setTimeout(resolve, 50)); response = await ask(); }
const body = (await response.json()) as { choices: { message: { content: string } }[] };
console.log(body.choices[0]?.message.content, worker.servings.length, runtime.instanceId.length > 0);
`;

const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
const compilerOptions = {
  strict: true,
  module: "nodenext",
  target: "es2022",
  lib: ["esnext"],
  outDir: "out",
  rootDir: "src",
};

describe("packed packages", () => {
  let directory: Directory;
  let tarballs: string[] = [];
  beforeAll(async () => {
    directory = await openDirectory("dyn-packages-");
    const packs = join(directory.path, "packs");
    const { stdout } = await run(node, ["scripts/pack.mjs", packs], { cwd: root });
    const [npm, install, ...paths] = stdout.trim().split(" ");
    expect([npm, install]).toEqual(["npm", "install"]);
    tarballs = paths;
  });
  afterAll(() => directory[Symbol.asyncDispose]());

  test("hold what they run and who made it, and beside each stands a list of what it needs", async () => {
    expect(tarballs).toHaveLength(5);
    for (const tarball of tarballs) {
      const { stdout } = await run("tar", ["-tzf", tarball]);
      for (const file of ["README.md", "LICENSE", "NOTICE", "package.json", "dist/index.js", "dist/index.d.ts"]) {
        expect(stdout.split("\n")).toContain(`package/${file}`);
      }
      await checkSbom(tarball.replace(/\.tgz$/, ".cdx.json"));
    }
  });

  test("work in an empty npm project, types included", async () => {
    const project = join(directory.path, "project");
    await mkdir(join(project, "src"), { recursive: true });
    await writeFile(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
    await writeFile(join(project, "src/main.ts"), program);
    await run("npm", ["install", ...quiet, ...tarballs], { cwd: project });
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
    const pages = ["library.md", ...(await readdir(join(root, "docs/guide"))).map((name) => join("guide", name))];
    const guide = await Promise.all(pages.map((page) => readFile(join(root, "docs", page), "utf8")));
    const blocks = guide.flatMap((page) => [...page.matchAll(/^```ts\n(.*?)^```$/gms)]);
    expect(blocks.length).toBeGreaterThan(10);
    await Promise.all(blocks.map(([, code = ""], index) => writeFile(join(project, `src/guide-${index}.ts`), code)));
    const compiled = run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: project });
    expect(await compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" }); // its errors
    const { stdout } = await run(node, ["out/main.js", join(directory.path, "kv")], { cwd: project });
    expect(stdout).toBe("it works 1 true\n");
    await exportsSpans(join(project, "node_modules/.bin/dyn-mock-worker"));
  });

  // A worker that is asked to export spans says that it does.
  async function exportsSpans(command: string): Promise<void> {
    const env = { OTEL_EXPORT_ENABLED: "1", DYN_DISCOVERY_BACKEND: "mem" };
    await using worker = startProgram("node", [command], env);
    await lineOf(worker, "OpenTelemetry OTLP export enabled (traces)");
    await lineOf(worker, "endpoint is serving");
  }

  const tarballOf = (name: string): string => tarballs.find((path) => path.includes(`dyn-${name}-`)) ?? "";

  test("installed for all users of a machine, a command exports spans as well", async () => {
    const prefix = join(directory.path, "global");
    const chosen = ["runtime", "lineage", "frontend", "mock-worker", "upstream-worker"].map(tarballOf);
    await run("npm", ["install", "--global", "--prefix", prefix, ...quiet, ...chosen]);
    await exportsSpans(join(prefix, "bin/dyn-mock-worker"));
  });

  test("the runtime alone installs without the SDK of OpenTelemetry, compiles, runs, and says what an export needs", async () => {
    const project = join(directory.path, "alone");
    await mkdir(join(project, "src"), { recursive: true });
    await writeFile(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
    const code = `import { createRuntime, toRuntimeError } from "@dyn/runtime";
const config = { discoveryBackend: "mem", log: "error" } as const;
await using runtime = await createRuntime({ config });
console.log(runtime.status().endpoints.length);
const failed = await createRuntime({ config: { ...config, otelExportEnabled: true } }).catch(toRuntimeError);
console.log("message" in failed && failed.message);
`;
    await writeFile(join(project, "src/main.ts"), code);
    await run("npm", ["install", ...quiet, tarballOf("runtime")], { cwd: project });
    const lock = JSON.parse(await readFile(join(project, "package-lock.json"), "utf8")) as { packages: object };
    const installed = Object.keys(lock.packages).filter((path) => /@(?:opentelemetry|grpc)\//.test(path));
    expect(installed).toEqual(["node_modules/@opentelemetry/api"]);
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
    const compiled = run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: project });
    expect(await compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" });
    const { stdout } = await run(node, ["out/main.js"], { cwd: project });
    expect(stdout).toMatch(/^0\nspans are to be exported, .* npm install .*"@opentelemetry\/sdk-trace@\^/);
  });
});
