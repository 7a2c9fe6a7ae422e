// Python's frameworks as clients: text, streams, tools and forms, each by its own means. And the program of the page on tests.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startFrontend, type StartedFrontend } from "@dyn/mock-worker/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectCases } from "../e2e/clients/support/cases.ts";
import { installPython } from "../e2e/clients/support/install.ts";
import { runClient } from "../e2e/clients/support/run.ts";
import { root } from "../support/cluster.ts";

const clients = join(root, "tests/e2e/clients");
const environment = {
  PYTHONPYCACHEPREFIX: join(root, "node_modules/.cache/dyn/pycache"), // compiled once
  LITELLM_LOCAL_MODEL_COST_MAP: "True", // else it would fetch prices
  LITELLM_MODE: "PRODUCTION",
};

let server: StartedFrontend;
let python: string;
beforeAll(async () => {
  [server, python] = await Promise.all([startFrontend(), installPython(join(clients, "python"))]);
});
afterAll(() => server.close());

async function runCases(interpreter: string, name: string): Promise<void> {
  const program = join(clients, "python/run_cases.py");
  await expectCases(interpreter, [program, `${name}_cases`, server.url], { env: environment });
}

test.each(["openai", "anthropic", "langchain", "agents", "pydantic_ai", "litellm"])(
  "%s for Python works in all its cases",
  (name) => runCases(python, name),
);

test("Instructor works in all its cases", async () => {
  await runCases(await installPython(join(clients, "instructor")), "instructor");
});

test("the program in Python of the page on tests of clients runs", async () => {
  const page = await readFile(join(root, "docs/testing-clients.md"), "utf8");
  const [, program = ""] = /^```python\n(.*?)^```$/ms.exec(page) ?? [];
  expect(program).toContain("--http-port");
  const ran = await runClient(python, ["-c", program], { cwd: root, env: environment });
  expect(ran).toEqual({ code: 0, stdout: "", stderr: "" });
});
