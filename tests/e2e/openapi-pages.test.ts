// The document of the API and its page as a frontend serves them.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Audience } from "../../packages/runtime/src/http/callers.ts";
import { eventually, root, startCluster } from "../support/cluster.ts";
import { describeFrontend, findResponse } from "../support/openapi.ts";

const key = "sk-key-of-team-a-0123456789";

let directory: string;
let runtime: Runtime;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-openapi-"));
  await writeFile(join(directory, "api-keys"), `${createHash("sha256").update(key).digest("hex")} team-a\n`);
  runtime = await createRuntime({ config: { discoveryBackend: "mem", log: "off" } });
});

afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

test("the document and its page are those of the port, and are sent once to who keeps them", async () => {
  const settings = {
    operatorPort: 0,
    httpMaxMessages: 7,
    httpMaxCompletions: 9,
    httpBodyLimitBytes: 2 * 1024 * 1024,
    httpOverloadStatusCode: 429,
  };
  const apiKeysFile = join(directory, "api-keys");
  await using split = await createFrontend({ runtime, httpPort: 0, apiKeysFile, ...settings });
  const isOpen = (audience: Audience): boolean => audience !== "clients" && audience !== "both";
  const facts = {
    fieldLimits: { maxMessages: 7, maxCompletions: 9 },
    maxBodyBytes: 2 * 1024 * 1024,
    overloadStatus: 429,
  };
  const read = (url: string, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> =>
    fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${key}`, ...headers } });
  const clients = await read(split.url, "/openapi.json");
  expect(await clients.json()).toEqual(JSON.parse(JSON.stringify(describeFrontend("clients", { ...facts, isOpen }))));
  const operators = await read(split.operatorUrl ?? "", "/openapi.json");
  expect(await operators.json()).toEqual(JSON.parse(JSON.stringify(describeFrontend("operators", facts))));
  const etag = clients.headers.get("etag") ?? "";
  expect([etag, operators.headers.get("etag")]).toEqual([
    expect.stringMatching(/^"[\w-]{22}"$/),
    expect.not.stringMatching(etag),
  ]);
  for (const path of ["/openapi.json", "/docs"]) {
    const { headers } = await read(split.url, path);
    const etag = headers.get("etag") ?? "";
    const again = await read(split.url, path, { "if-none-match": `"x", W/${etag}` });
    expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
    findResponse(describeFrontend(), "GET", path, 304);
    expect((await read(split.url, path, { "if-none-match": '"x"' })).status).toBe(200);
    const head = await read(split.url, path, {}, "HEAD");
    expect([head.status, await head.text(), head.headers.get("etag")]).toEqual([200, "", etag]);
  }
});

test("the page allows its own style and nothing else", async () => {
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  const response = await fetch(`${frontend.url}/docs`);
  const { headers } = response;
  const body = await response.text();
  const [style = ""] = /(?<=<style>)[^]*(?=<\/style>)/.exec(body) ?? [];
  const hash = createHash("sha256").update(style).digest("base64");
  expect(headers.get("content-security-policy")).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(body).not.toContain("style=");
});

test("what describes the API is loaded by the first who asks, not by the start", async () => {
  const watch = { NODE_OPTIONS: `--import ${join(root, "tests/e2e/otlp/record-imports.mjs")}` };
  await using cluster = await startCluster({ workers: 0, env: watch });
  expect(cluster.frontend.stderr()).not.toContain("openapi/document.js");
  expect((await fetch(`${cluster.url}/docs`)).status).toBe(200);
  await eventually("its loading", () => cluster.frontend.stderr().includes("openapi/document.js"));
});
