// The SDK is taken from where it is installed, and whoever has none is told what to install.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { withSdk } from "../../../packages/runtime/src/otel/sdk.ts";
import { root } from "../../support/cluster.ts";
import { openDirectory } from "../../support/directory.ts";

const run = promisify(execFile);
const source = join(root, "packages/runtime/src/otel/sdk.ts");
const installed = join(root, "packages/frontend/package.json"); // its dependencies are beside it

test("what is installed beside this package is used, whatever program runs", async () => {
  expect(await withSdk("grpc", async () => "done", { program: "/nowhere/program.js" })).toBe("done");
});

// A process of its own, because the tests' imports are not those of Node.
test("what is missing there is taken from beside the program, by this package alone, and only meanwhile", async () => {
  await using directory = await openDirectory("dyn-sdk-");
  await using elsewhere = await openDirectory("dyn-sdk-");
  const code = `export { SamplingDecision } from "@opentelemetry/sdk-trace";`;
  const write = async (folder: string, name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return pathToFileURL(join(folder, name)).href;
  };
  const here = await write(directory.path, "here.mjs", code);
  const later = await write(directory.path, "later.mjs", code);
  const foreign = await write(elsewhere.path, "foreign.mjs", code);
  const steps = `import { withSdk } from ${JSON.stringify(pathToFileURL(source).href)};
    const load = (url) => import(url).then((module) => Object.keys(module).join(), (error) => error.code);
    const places = ${JSON.stringify({ here, program: installed })};
    const during = await withSdk("grpc", async () => [await load("${foreign}"), await load("${here}")], places);
    console.log([...during, await load("${later}")].join(" "));`;
  await write(elsewhere.path, "steps.mjs", steps);
  const { stdout } = await run(join(root, "node_modules/.bin/node"), [join(elsewhere.path, "steps.mjs")]);
  expect(stdout).toBe("ERR_MODULE_NOT_FOUND SamplingDecision ERR_MODULE_NOT_FOUND\n");
});

test.each([
  ["grpc", ["@grpc/grpc-js@^", "@opentelemetry/exporter-trace-otlp-grpc@^"], "exporter-trace-otlp-proto"],
  ["http/protobuf", ["@opentelemetry/exporter-trace-otlp-proto@^"], "grpc"],
] as const)(
  "an export by %s names the packages that it misses, with their versions",
  async (protocol, named, other) => {
    await using directory = await openDirectory("dyn-sdk-");
    const here = pathToFileURL(join(directory.path, "here.mjs")).href;
    const failed = await withSdk(protocol, async () => "done", {
      here,
      program: join(directory.path, "program.js"),
    }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "invalid_argument" });
    const { message } = failed as Error;
    expect(message).toMatch(/^spans are to be exported, but packages that do this are not installed: npm install "/);
    for (const name of ["@opentelemetry/sdk-trace@^", "@opentelemetry/core@^", ...named])
      expect(message).toContain(`"${name}`);
    expect(message).not.toContain(other);
  },
);
