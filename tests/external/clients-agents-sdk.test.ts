// OpenAI's Agents SDK for JavaScript.
import { join } from "node:path";
import { startFrontend } from "@dyn/mock-worker/testing";
import { test } from "vitest";
import { expectCases } from "../e2e/clients/support/cases.ts";
import { installNode } from "../e2e/clients/support/install.ts";
import { root } from "../support/cluster.ts";

test("OpenAI's Agents SDK for JavaScript works in all its cases", async () => {
  const directory = join(root, "tests/e2e/clients/agents-sdk");
  const home = await installNode(directory);
  await using server = await startFrontend();
  await expectCases(process.execPath, [join(directory, "cases.mjs"), home, server.url], { cwd: directory });
});
