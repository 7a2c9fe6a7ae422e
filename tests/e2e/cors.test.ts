// Web pages in browsers: none may ask unless it is listed, and then it may read everything that an answer says.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseOrigins } from "../../packages/runtime/src/http/cors.ts";
import { chat, eventually, startCluster, type Cluster } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";

const page = "https://chat.example:8443";
const key = "a-key-of-the-tests-0123456789";
const asked = "authorization,content-type,x-stainless-lang,anthropic-version";

function preflight(url: string, path: string, origin: string, names: string = asked): Promise<Response> {
  const headers = {
    origin,
    "access-control-request-method": "POST",
    ...(names !== "" && { "access-control-request-headers": names }),
  };
  return fetch(`${url}${path}`, { method: "OPTIONS", headers });
}

function corsOf({ headers }: Response): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("access-control-") || name === "vary"));
}

describe("a frontend with a page on its list, and API keys", () => {
  let cluster: Cluster;
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "dyn-cors-"));
    const keys = join(directory, "api-keys");
    await writeFile(keys, createHash("sha256").update(key).digest("hex"));
    cluster = await startCluster({
      frontendArgs: ["--http-cors-origins", `https://other.example, ${page}/`, "--api-keys-file", keys],
    });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const readable = {
    "access-control-allow-origin": page,
    "access-control-expose-headers": "request-id, x-request-id, retry-after, x-should-retry",
    vary: "origin",
  };

  function ask(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const all = { origin: page, authorization: `Bearer ${key}`, "content-type": "application/json", ...headers };
    return fetch(`${cluster.url}${path}`, { method: "POST", headers: all, body: JSON.stringify(body) });
  }

  test.each(["/v1/chat/completions", "/v1/messages", "/v1/models", "/health", "/nothing"])(
    "lets it ask at %s, without a key",
    async (path) => {
      const before = cluster.frontend.lines().length;
      const answer = await preflight(cluster.url, path, page);
      expect([answer.status, await answer.text()]).toEqual([204, ""]);
      expect(answer.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(corsOf(answer)).toEqual({
        ...readable,
        "access-control-allow-methods": "POST, GET, HEAD, DELETE",
        "access-control-allow-headers": asked,
        "access-control-max-age": "7200",
      });
      const later = (await ask("/nothing", {})).headers.get("request-id");
      await eventually("a later line", () => cluster.frontend.lines().some((line) => line["request_id"] === later));
      const lines = cluster.frontend.lines().slice(before);
      expect(lines.filter(({ method }) => method === "OPTIONS")).toEqual([]);
    },
  );

  test("lets it read answers, streams and errors, with their ids", async () => {
    const unary = await ask("/v1/chat/completions", chat("hello"));
    expect([unary.status, corsOf(unary)]).toEqual([200, readable]);
    await unary.text();
    const stream = await ask("/v1/chat/completions", chat("hello", { stream: true }));
    expect([stream.headers.get("content-type"), corsOf(stream)]).toEqual([
      "text/event-stream; charset=utf-8",
      readable,
    ]);
    expect(await stream.text()).toContain("[DONE]");
    const failures: readonly (readonly [number, Response])[] = [
      [400, await ask("/v1/messages", {})],
      [401, await ask("/v1/chat/completions", chat("hello"), { authorization: "Bearer no" })],
      [404, await ask("/v1/chat/completions", chat("hello", { model: "nobody" }))],
      [404, await ask("/nothing", {})],
      [405, await ask("/v1/models", {})],
      [415, await ask("/v1/chat/completions", {}, { "content-type": "text/plain" })],
    ];
    for (const [status, answer] of failures)
      expect([answer.status, corsOf(answer), await answer.json()]).toEqual([status, readable, expect.anything()]);
    const listed = await fetch(`${cluster.url}/health`, { headers: { origin: page } });
    expect(corsOf(listed)).toEqual(readable);
  });

  test("tells others nothing, and caches that answers differ", async () => {
    for (const origin of [
      "https://evil.example",
      "http://chat.example:8443",
      "https://chat.example",
      `${page}.evil.example`,
      "null",
    ]) {
      const answer = await preflight(cluster.url, "/v1/chat/completions", origin);
      expect([answer.status, corsOf(answer)]).toEqual([204, { vary: "origin" }]);
    }
    expect(corsOf(await fetch(`${cluster.url}/health`))).toEqual({ vary: "origin" });
  });

  test("takes an OPTIONS of nobody's browser for the wrong method", async () => {
    const { status, headers } = await fetch(`${cluster.url}/health`, { method: "OPTIONS", headers: { origin: page } });
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("does not repeat names that are none, and refuses a malformed question as any other", async () => {
    const { port } = new URL(cluster.url);
    const send = async (...lines: readonly string[]): Promise<string> => {
      using client = dial(Number(port));
      const head = [
        "OPTIONS /v1/models HTTP/1.1",
        `Origin: ${page}`,
        "Access-Control-Request-Method: POST",
        "Connection: close",
        ...lines,
      ];
      client.socket.write(Buffer.from([...head, "", ""].join("\r\n"), "latin1"));
      await eventually("the end", client.isClosed);
      return client.text();
    };
    expect(await send("Host: localhost", "Access-Control-Request-Headers: a\u00e9<b>")).toMatch(
      /^HTTP\/1\.1 204 (?!.*allow-headers)/s,
    );
    expect(await send()).toMatch(/^HTTP\/1\.1 400 .*Host header is missing/s);
  });
});

test("a frontend without a list says nothing of this", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const refused = await preflight(cluster.url, "/v1/chat/completions", page);
  expect([refused.status, refused.headers.get("allow"), corsOf(refused)]).toEqual([405, "POST", {}]);
  expect(corsOf(await fetch(`${cluster.url}/health`, { headers: { origin: page } }))).toEqual({});
});

test("a frontend for all pages says so, and caches may keep its answers for all", async () => {
  await using cluster = await startCluster({ workers: 0, env: { DYN_HTTP_CORS_ORIGINS: "*" } });
  const answer = await preflight(cluster.url, "/v1/chat/completions", "null", "");
  expect(corsOf(answer)).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET, HEAD, DELETE",
  });
  expect([answer.headers.get("vary"), answer.headers.get("access-control-allow-headers")]).toEqual([null, null]);
});

describe("origins", () => {
  test.each([
    ["", []],
    ["*", ["*"]],
    [" https://A.example:443/ , http://localhost:3000,", ["https://a.example", "http://localhost:3000"]],
    ["http://[::1]:8080,https://bücher.example", ["http://[::1]:8080", "https://xn--bcher-kva.example"]],
    ["chrome-extension://AbC/,tauri://localhost", ["chrome-extension://abc", "tauri://localhost"]],
  ])("%j are read as browsers write them", (text, origins) => {
    expect(parseOrigins(text)).toEqual(origins);
  });

  test.each([
    "null",
    "chat.example",
    "https://",
    "https://a.example/path",
    "https://user@a.example",
    "https://a.example:99999",
    "https://*.example",
    "//a",
  ])("%j is refused", (text) => {
    expect(() => parseOrigins(text)).toThrow(
      `expected * or origins such as https://chat.example:8443, separated by commas; ${JSON.stringify(text)} is none`,
    );
  });
});
