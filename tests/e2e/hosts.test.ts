// A web page whose name leads to this machine (DNS rebinding), and pages of other origins: what they get from whole programs.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type CreateFrontendOptions } from "@dyn/frontend";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, eventually, lineOf, startCluster, systemUrl, type Cluster } from "../support/cluster.ts";
import { sendRaw, type RawAnswer } from "../support/raw-http.ts";

const evil = "evil.example:8000";
const setting = "--http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)";

let cluster: Cluster;
let system = "";
beforeAll(async () => {
  cluster = await startCluster({ workerArgs: ["--system-port", "0"] });
  system = systemUrl(cluster.workers[0]);
});
afterAll(async () => cluster[Symbol.asyncDispose]());

function idOf({ head }: RawAnswer): string | undefined {
  return /^request-id: (.*)$/m.exec(head)?.[1];
}

describe("a frontend on loopback without keys", () => {
  const message = `the host "${evil}" is not served here: ask for localhost or an IP address, or add its name to ${setting}`;
  const openai = { error: { message, type: "invalid_request_error", param: null, code: "host_not_allowed" } };
  const anthropic = {
    type: "error",
    error: { type: "invalid_request_error", message },
    request_id: expect.any(String) as string,
  };
  const body = JSON.stringify(chat("a secret"));

  test.each<[string, unknown, string?]>([
    ["POST /v1/chat/completions", openai, body],
    ["POST /v1/completions", openai, body],
    ["POST /v1/messages", anthropic, body],
    ["POST /v1/messages/count_tokens", anthropic, body],
    ["GET /v1/models", openai],
    ["GET /v1/requests/f52be7a9-8809-408c-9140-4fd7ca0dd680", openai],
    ["GET /health", openai],
    ["GET /live", openai],
    ["GET /metrics", openai],
    ["GET /", openai],
    ["GET /favicon.ico", openai],
    ["GET /nothing", openai],
    ["OPTIONS /v1/models", openai],
    [`GET http://${evil}/health`, openai],
  ])(
    "answers %s of another host with a 421 in the API's shape, and with nothing else",
    async (line, shape, sent = "") => {
      const answer = await sendRaw(cluster.url, {
        requestLine: `${line} HTTP/1.1`,
        host: evil,
        headers: [`origin: http://${evil}`],
        body: sent,
      });
      expect(answer.head).toMatch(/^HTTP\/1\.1 421 Misdirected Request\r\n/);
      expect(answer.head).toMatch(/^connection: close\r?$/im);
      expect(JSON.parse(answer.body)).toEqual(shape);
      const id = idOf(answer);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      const refused = await eventually("its line", () =>
        cluster.frontend
          .lines()
          .find((each) => each["request_id"] === id && each["message"] === "request for another host refused"),
      );
      expect(refused).toMatchObject({
        level: "WARN",
        remote: "127.0.0.1",
        status: 421,
        error: message,
        "error.type": "misdirected",
      });
      if (!/^POST \/v1\/(?:chat|comp|messages$)/.test(line)) return;
      const completed = await lineOf(cluster.frontend, "request completed", { request_id: id });
      expect(completed).toMatchObject({ status: "error", error_type: "validation", error: message, attempts: 0 });
    },
  );

  test("answers localhost, and addresses", async () => {
    for (const host of ["localhost:8000", "Localhost.", "127.0.0.1", "[::1]:8000", "192.0.2.7:80"]) {
      expect(await sendRaw(cluster.url, { host, body })).toMatchObject({ status: 200 });
    }
    expect(await sendRaw(cluster.url, { requestLine: "GET /health HTTP/1.0", body: "" })).toMatchObject({
      status: 200,
    });
  });

  // What a browser sends from a page of another origin without asking first: https://fetch.spec.whatwg.org/#cors-safelisted-request-header
  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=a",
    "text/plain;charset=UTF-8, application/json",
    "",
  ])("does nothing for a page of another origin that posts %j", async (type) => {
    const before = cluster.workers[0]?.lines().length;
    for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/messages/count_tokens"]) {
      const headers = { origin: "http://evil.example", ...(type !== "" && { "content-type": type }) };
      const sent = type === "" ? new Blob([body]) : body; // a Blob has no type of its own
      const answer = await fetch(`${cluster.url}${path}`, { method: "POST", headers, body: sent });
      expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([415, null]);
    }
    expect(cluster.workers[0]?.lines().length).toBe(before);
  });
});

describe("the system server of a worker", () => {
  const own = /--system-allowed-hosts \(DYN_SYSTEM_ALLOWED_HOSTS\)/;

  test.each([
    "GET /",
    "GET /live",
    "GET /health",
    "GET /metrics",
    "GET /faults",
    "PUT /faults",
    "DELETE /faults",
    "GET /nothing",
  ])("answers %s of another host with a 421", async (line) => {
    const answer = await sendRaw(system, {
      requestLine: `${line} HTTP/1.1`,
      host: evil,
      body: line.startsWith("PUT") ? "hang" : "",
    });
    expect(answer.status).toBe(421);
    expect(JSON.parse(answer.body)).toEqual({ error: expect.stringMatching(own) as string });
  });

  test.each(["http://evil.example", `http://${evil}`, "http://localhost:3000", "null"])(
    "refuses a page of %s with a 403",
    async (origin) => {
      for (const line of ["GET /metrics", "PUT /faults", "POST /faults", "DELETE /faults", "OPTIONS /faults"]) {
        const body = line.startsWith("PUT") ? "hang" : "";
        const answer = await sendRaw(system, { requestLine: `${line} HTTP/1.1`, headers: [`origin: ${origin}`], body });
        expect(answer.status).toBe(403);
        expect(JSON.parse(answer.body)).toEqual({ error: expect.stringMatching(own) as string });
      }
    },
  );

  test("has obeyed none of them, and obeys its own page and those that are none", async () => {
    expect(await (await fetch(`${system}/faults`)).json()).toEqual({ faults: "" });
    const put = {
      requestLine: "PUT /faults HTTP/1.1",
      host: new URL(system).host,
      headers: [`origin: ${system}`],
      body: "delay:1",
    };
    expect(await sendRaw(system, put)).toMatchObject({ status: 200, body: '{"faults":"delay:1"}' });
    expect((await fetch(`${system}/faults`, { method: "DELETE" })).status).toBe(200);
  });
});

describe("a frontend", () => {
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "dyn-hosts-"));
    await writeFile(
      join(directory, "api-keys"),
      createHash("sha256").update("a-key-of-the-tests-0123456789").digest("hex"),
      { mode: 0o600 },
    );
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  test.each<[string, string, number, () => CreateFrontendOptions]>([
    ["with keys", evil, 200, () => ({ apiKeysFile: join(directory, "api-keys") })],
    ["on all addresses", evil, 200, () => ({ httpHost: "0.0.0.0" })],
    ["with its name on the list", "dyn.example:8000", 200, () => ({ httpAllowedHosts: ["dyn.example"] })],
    ["with another name on the list", evil, 421, () => ({ httpAllowedHosts: ["dyn.example"] })],
    [
      "with a list and keys",
      evil,
      421,
      () => ({ httpAllowedHosts: ["dyn.example"], apiKeysFile: join(directory, "api-keys") }),
    ],
    ["with a list, on all addresses", evil, 421, () => ({ httpAllowedHosts: ["dyn.example"], httpHost: "0.0.0.0" })],
    ["with all names on the list", evil, 200, () => ({ httpAllowedHosts: ["*"] })],
  ])("%s answers a request for %s with %i", async (_name, host, status, options) => {
    const config = { discoveryBackend: "mem", log: "off" } as const;
    await using frontend = await createFrontend({ httpPort: 0, ...options(), config });
    const url = `http://127.0.0.1:${frontend.port}`;
    expect((await sendRaw(url, { requestLine: "GET /health HTTP/1.1", host })).status).toBe(status);
    expect((await sendRaw(url, { requestLine: "GET /health HTTP/1.1" })).status).toBe(200);
  });

  test("refuses a list that it cannot read", async () => {
    const options = {
      httpPort: 0,
      httpAllowedHosts: ["dyn.example:8000"],
      config: { discoveryBackend: "mem", log: "off" },
    } as const;
    await expect(createFrontend(options)).rejects.toThrow(
      "expected * or names of hosts such as dyn.example, without ports",
    );
  });
});
