// Nobody else's program runs in place of ours, and what is given away says whose it is.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "../support/cluster.ts";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const packages = ["runtime", "lineage", "frontend", "mock-worker", "upstream-worker"].map((name) => `packages/${name}`);

function filesBelow(folder: string, ending: RegExp): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => ending.test(name) && !/(?:^|\/)(?:node_modules|dist)\//.test(name))
    .map((name) => join(folder, name));
}

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

/** `npx` as a reader of the documents runs it, in `cwd`, with a registry of ours. */
function npx(args: readonly string[], cwd: string, registry: string): Promise<Ended> {
  const cache = mkdtempSync(join(tmpdir(), "dyn-npm-"));
  const env = {
    ...process.env,
    npm_config_registry: registry,
    npm_config_cache: cache,
    npm_config_fetch_retries: "0",
    npm_config_update_notifier: "false",
  };
  const child = spawn("npx", args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => {
    child.on("close", (code) => {
      rmSync(cache, { recursive: true, force: true });
      resolve({ code, said });
    });
  });
}

interface Registry extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly string[];
}

/** A registry in which somebody has taken the name of every program. */
async function startRegistry(): Promise<Registry> {
  const asked: string[] = [];
  const server = createServer(({ url = "" }, response) => {
    asked.push(url);
    const name = url.slice(1);
    const dist = { tarball: `http://${url}.tgz`, integrity: `sha512-${"A".repeat(86)}==` };
    const manifest = { name, version: "6.6.6", bin: { [name]: "evil.js" }, dist };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name, "dist-tags": { latest: "6.6.6" }, versions: { "6.6.6": manifest } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    asked,
    [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))),
  };
}

describe("npx as the documents have it", () => {
  test("is told to install nothing, everywhere", () => {
    const files = [
      "README.md",
      "SECURITY.md",
      ...filesBelow("docs", /\.md$/),
      ...filesBelow("packages", /\.(?:md|ts)$/),
      ...filesBelow("examples", /\.ts$/),
      ...filesBelow("scripts", /\.mjs$/),
    ];
    const commands = files.flatMap((file) =>
      [...read(file).matchAll(/\bnpx (?!--no-install )[\w -]*(?:dyn-[a-z-]+|node)\b/g)].map(
        ([command]) => `${file}: ${command}`,
      ),
    );
    expect(commands.filter((command) => !command.endsWith("npx --no dyn-frontend"))).toEqual([]); // one that does not work is named
    expect(read("README.md")).toContain("npx --no-install dyn-frontend --http-port 8000");
  });

  test.each(["dyn-frontend", "dyn-mock-worker", "dyn-upstream-worker"])(
    "runs %s of this directory with its flags, and asks no registry",
    async (name) => {
      await using registry = await startRegistry();
      const { code, said } = await npx(["--no-install", name, "--version"], root, registry.url);
      expect([code, said]).toEqual([0, expect.stringMatching(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\n$`))]);
      expect(registry.asked).toEqual([]);
    },
  );

  test("runs nothing elsewhere, although somebody has taken the name, and says so", async () => {
    await using registry = await startRegistry();
    const elsewhere = mkdtempSync(join(tmpdir(), "dyn-elsewhere-"));
    writeFileSync(join(elsewhere, "package.json"), "{}");
    const { code, said } = await npx(["--no-install", "dyn-frontend", "--version"], elsewhere, registry.url);
    rmSync(elsewhere, { recursive: true });
    expect(code).not.toBe(0);
    expect(said).toMatch(/cancell?ed/);
    expect(registry.asked.filter((url) => url.endsWith(".tgz"))).toEqual([]);
  });
});

describe("each package", () => {
  test.each(packages)("%s is kept from the registry, and has the licence, whose it is and what was taken", (folder) => {
    const manifest = JSON.parse(read(`${folder}/package.json`)) as {
      private?: boolean;
      license: string;
      files: string[];
    };
    expect(manifest).toMatchObject({
      private: true,
      license: "Apache-2.0",
      files: expect.arrayContaining(["LICENSE", "NOTICE", "README.md"]),
    });
    for (const file of ["LICENSE", "NOTICE"]) expect(read(`${folder}/${file}`)).toBe(read(file));
    expect(read("NOTICE")).toMatch(/^dyn\nCopyright 2026 the dyn authors\n/);
    expect(read("NOTICE")).toContain("NVIDIA CORPORATION & AFFILIATES");
  });
});

test("the Python clients are pinned by version and hash, without an address", () => {
  const lines = read("tests/e2e/sdk/python/requirements.txt")
    .replaceAll("\\\n", "")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines.length).toBeGreaterThan(15);
  for (const line of lines)
    expect(line).toMatch(/^[a-z0-9-]+==[\w.]+ (?:; [\w.'<>=! ]+ )?( +--hash=sha256:[0-9a-f]{64} ?)+$/);
  expect(read("tests/e2e/sdk/python/environment.ts")).toContain('"--require-hashes"');
});

test("the engine of the tests is pinned by version and hash, without an address, and runs nothing at its installation", () => {
  const lock = JSON.parse(read("tests/external/llama/package-lock.json")) as {
    packages: Record<string, { version?: string; integrity?: string; resolved?: string }>;
  };
  const installed = Object.entries(lock.packages).filter(([path]) => path !== "");
  expect(installed.length).toBeGreaterThan(100);
  for (const [, { version, integrity, resolved }] of installed)
    expect([version, integrity, resolved]).toEqual([
      expect.stringMatching(/^\d/),
      expect.stringMatching(/^sha512-/),
      undefined,
    ]);
  expect(read("tests/external/llama/engine.ts")).toContain('"--ignore-scripts"');
});

test("how to report a vulnerability is where people look for it", () => {
  expect(read("SECURITY.md")).toMatch(/^## Reporting a vulnerability$/m);
  for (const [file, link] of [
    ["README.md", "(SECURITY.md)"],
    ["docs/security.md", "(../SECURITY.md)"],
  ] as const) {
    expect(read(file)).toContain(link);
  }
});
