// One version, wherever it is shown.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { version } from "../../packages/runtime/src/version.ts";
import { root, startProgram } from "../support/cluster.ts";

test.each(["runtime", "frontend", "mock-worker", "upstream-worker"])(
  "the version is that of the package %s",
  (name) => {
    const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as {
      version: string;
    };
    expect(version).toBe(manifest.version);
  },
);

test.each(["dyn-frontend", "dyn-mock-worker", "dyn-upstream-worker"])(
  "%s prints its version and ends, whatever is in the environment",
  async (name) => {
    await using program = startProgram(name, ["--version"], { DYN_TCP_RPC_PORT: "x", DYN_HTTP_PORT: "x" });
    expect(await program.exited).toBe(0);
    expect([program.stdout(), program.stderr()]).toEqual([`${name} ${version}\n`, ""]);
  },
);
