// The page on tests of clients: each of its blocks compiles alone, and passes.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, root, startProgram } from "../support/cluster.ts";

const run = promisify(execFile);
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const compilerOptions = {
  module: "nodenext",
  target: "esnext",
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ["node"],
};

let directory: string;
let count: number;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-page-"));
  await symlink(join(root, "node_modules"), join(directory, "node_modules"));
  const page = await readFile(join(root, "docs/testing-clients.md"), "utf8");
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)];
  count = blocks.length;
  await Promise.all(blocks.map(([, code = ""], index) => writeFile(join(directory, `block-${index}.test.ts`), code)));
  await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module", private: true }));
  await writeFile(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("every block of the page on tests of clients compiles", async () => {
  expect(count).toBeGreaterThan(5);
  const compiled = run(bin("tsc"), ["-p", "."], { cwd: directory });
  expect(await compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" }); // its errors
});

interface Report {
  readonly success: boolean;
  readonly testResults: readonly { readonly status: string }[];
}

test("every block of the page on tests of clients passes", async () => {
  const report = join(directory, "report.json");
  const args = ["run", "--root", directory, "--no-isolate", "--maxWorkers", "1"];
  const env = { PATH: process.env["PATH"], NO_COLOR: "1" };
  const ran = run(bin("vitest"), [...args, "--reporter", "json", "--outputFile", report], { cwd: directory, env });
  const said = await ran.catch((error: { stdout: string; stderr: string }) => error);
  const text = await readFile(report, "utf8").catch(() => Promise.reject(new Error(said.stdout + said.stderr)));
  const { success, testResults } = JSON.parse(text) as Report;
  expect([success, text]).toEqual([true, text]); // shows which failed, and why
  expect(testResults).toHaveLength(count);
});

test("the command that the page shows says one line on standard output, its URL, once it answers", async () => {
  await using server = startProgram("dyn-mock-worker", ["--http-port", "0", "--log", "off"]);
  const line = await eventually("the URL", () => server.stdout().endsWith("\n") && server.stdout());
  expect(line).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
  const { data } = (await (await fetch(`${line.trim()}/v1/models`)).json()) as { data: { id: string }[] };
  expect(data.map(({ id }) => id)).toEqual(["mock"]);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  expect([server.stdout(), server.stderr()]).toEqual([line, ""]);
});
