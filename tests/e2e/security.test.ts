// HTTPS, API keys and the secured plane as whole programs have them, with the official clients; and what the logs must not hold.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { request as requestHttps } from "node:https";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import Anthropic, { AuthenticationError as AnthropicAuthenticationError } from "@anthropic-ai/sdk";
import OpenAI, { AuthenticationError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, replacePem, type Authority, type Pem } from "../support/certificates.ts";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  startCluster,
  startProgram,
  type Cluster,
  type Line,
} from "../support/cluster.ts";

const key = "sk-key-of-team-a-0123456789";
const laterKey = "sk-key-of-team-b-0123456789";
const wrongKey = "sk-key-of-nobody-0123456789";
const token = "plane-token-0123456789";
const prompt = "a-prompt-that-nobody-logs";

const digest = (secret: string): string => createHash("sha256").update(secret).digest("hex");

let authority: Authority;
let http: Pem;
let plane: Pem;
let cluster: Cluster;
let keysFile: string;
let tokenFile: string;
let shortToken: string;

beforeAll(async () => {
  authority = await createAuthority();
  setDefaultCACertificates([...getCACertificates("default"), readFileSync(authority.ca, "utf8")]);
  http = await authority.issue("http");
  plane = await authority.issue("plane");
  keysFile = join(authority.directory, "keys");
  tokenFile = join(authority.directory, "token");
  writeFileSync(keysFile, `# who may ask\n${digest(key)} team-a\n`);
  writeFileSync(tokenFile, `${token}\n`);
  shortToken = join(authority.directory, "short-token");
  writeFileSync(shortToken, "tiny\n");
  cluster = await startCluster({
    workers: 2,
    frontendArgs: ["--tls-cert-path", http.cert, "--tls-key-path", http.key, "--api-keys-file", keysFile],
    env: {
      DYN_LOG: "trace",
      DYN_PLANE_TOKEN_FILE: tokenFile,
      DYN_TCP_TLS_CERT: plane.cert,
      DYN_TCP_TLS_KEY: plane.key,
      DYN_TCP_TLS_CA: authority.ca,
    },
  });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  authority[Symbol.dispose]();
});

const openai = (apiKey: string): OpenAI => new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey, maxRetries: 0 });
const anthropic = (apiKey: string): Anthropic => new Anthropic({ baseURL: cluster.url, apiKey, maxRetries: 0 });
const messages = [{ role: "user" as const, content: prompt }];

test("plain HTTP at the HTTPS port is refused, and the log says what it was", async () => {
  await expect(fetch(`${cluster.url.replace("https:", "http:")}/live`)).rejects.toThrow();
  const line = await lineOf(cluster.frontend, "TLS handshake refused");
  expect(line).toMatchObject({
    level: "WARN",
    error: "this looks like plain HTTP; only HTTPS is spoken here: use https://",
  });
  expect(cluster.frontend.lines().filter(({ message }) => message === "malformed HTTP refused")).toEqual([]);
});

describe("the official clients, over TLS and with a key", () => {
  test("of OpenAI are answered, unary and streamed", async () => {
    expect(cluster.url).toMatch(/^https:/);
    const completion = await openai(key).chat.completions.create({ model: "mock", messages });
    expect(completion.choices[0]?.message.content).toBe(prompt);
    const stream = await openai(key).chat.completions.create({ model: "mock", messages, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe(prompt);
    expect((await openai(key).models.list()).data.map(({ id }) => id)).toEqual(["mock"]);
  });

  test("of Anthropic are answered, with either header", async () => {
    const body = { model: "mock", max_tokens: 100, messages };
    expect((await anthropic(key).messages.create(body)).content).toMatchObject([{ type: "text", text: prompt }]);
    const bearer = new Anthropic({ baseURL: cluster.url, apiKey: null, authToken: key, maxRetries: 0 });
    expect((await bearer.messages.create(body)).content).toMatchObject([{ type: "text", text: prompt }]);
    expect(await anthropic(key).messages.countTokens({ model: "mock", messages })).toEqual({ input_tokens: 1 });
  });

  test("are refused with a wrong key in their own shapes", async () => {
    const refused = await openai(wrongKey)
      .chat.completions.create({ model: "mock", messages })
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AuthenticationError);
    expect(refused).toMatchObject({ status: 401, code: "invalid_api_key", type: "authentication_error" });
    await expect(openai(wrongKey).models.list()).rejects.toBeInstanceOf(AuthenticationError);
    const ours = await anthropic(wrongKey)
      .messages.create({ model: "mock", max_tokens: 1, messages })
      .catch((error: unknown) => error);
    expect(ours).toBeInstanceOf(AnthropicAuthenticationError);
    expect(ours).toMatchObject({
      error: { type: "error", error: { type: "authentication_error", message: "the API key is not known here" } },
    });
  });
});

describe("a request without a key", () => {
  test.each([
    ["POST", "/v1/chat/completions"],
    ["POST", "/v1/completions"],
    ["POST", "/v1/messages"],
    ["POST", "/v1/messages/count_tokens"],
    ["GET", "/v1/models"],
    ["GET", "/v1/models/mock"],
    ["GET", "/v1/requests/f52be7a9-8809-408c-9140-4fd7ca0dd680"],
  ])("%s %s is a 401 with both ids", async (method, path) => {
    const response = await fetch(`${cluster.url}${path}`, { method, headers: { "x-request-id": "mine" } });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(response.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
    const body = (await response.json()) as { error: { type: string; message: string } };
    expect(body.error).toMatchObject({
      type: "authentication_error",
      message: expect.stringContaining("an API key is required") as string,
    });
  });

  test.each(["/live", "/health", "/metrics"])("GET %s is answered", async (path) => {
    expect((await fetch(`${cluster.url}${path}`)).status).toBe(200);
  });

  test.each<[string, Record<string, string>]>([
    ["another scheme", { authorization: `Basic ${key}` }],
    ["an empty key", { authorization: "Bearer ", "x-api-key": "" }],
    ["the hash of a key", { authorization: `Bearer ${digest(key)}` }],
    ["a key with more", { "x-api-key": `${key}x` }],
    ["the name of a key", { "x-api-key": "team-a" }],
  ])("but %s is refused", async (_name, headers) => {
    expect((await postChat(cluster.url, chat(prompt), headers)).status).toBe(401);
  });

  test("is refused before its body is there", async () => {
    const { hostname, port } = new URL(cluster.url);
    const headers = { "content-type": "application/json", "content-length": "1000000" };
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const request = requestHttps({ hostname, port, path: "/v1/chat/completions", method: "POST", headers });
    request.on("response", (response) => (response.resume(), resolve(response.statusCode))).on("error", reject);
    request.write("{");
    expect(await promise).toBe(401);
    request.destroy();
  });
});

test("the pair of lines names the key, and those of a refused request do not", async () => {
  const of = (id: string): Record<string, unknown>[] =>
    cluster.frontend
      .lines()
      .filter(
        (line) => line["x_request_id"] === id && /^request (?:received|completed)$/.test(String(line["message"])),
      );
  await postChat(cluster.url, chat(prompt), { authorization: `bearer ${key}`, "x-request-id": "known" });
  await postChat(cluster.url, chat(prompt), { authorization: `Bearer ${wrongKey}`, "x-request-id": "unknown" });
  const known = await eventually("the lines", () => (of("known").length === 2 ? of("known") : undefined));
  expect(known.map((line) => line["api_key"])).toEqual(["team-a", "team-a"]);
  const unknown = await eventually("the lines", () => (of("unknown").length === 2 ? of("unknown") : undefined));
  expect(unknown.map((line) => line["api_key"])).toEqual([undefined, undefined]);
  expect(unknown[1]).toMatchObject({
    status: "error",
    error_type: "validation",
    error: "the API key is not known here",
  });
});

test("keys come and go with their file; a file that cannot be read keeps the last ones", async () => {
  const ask = async (apiKey: string): Promise<number> =>
    (await postChat(cluster.url, chat(prompt), { "x-api-key": apiKey })).status;
  expect(await ask(laterKey)).toBe(401);
  writeFileSync(keysFile, `${digest(laterKey).toUpperCase()}\n`);
  await eventually("the later key", async () => (await ask(laterKey)) === 200);
  expect(await ask(key)).toBe(401);
  writeFileSync(keysFile, `${key}\n`); // a key where its hash belongs
  await eventually("the warning", () =>
    cluster.frontend
      .lines()
      .some(({ message }) => message === "API keys cannot be reloaded, what was read before stays in use"),
  );
  expect(await ask(laterKey)).toBe(200);
  writeFileSync(keysFile, `${digest(key)} team-a\n`);
  await eventually("the first key", async () => (await ask(key)) === 200);
});

test("the certificate of the HTTP server is replaced without a restart", async () => {
  const { hostname, port } = new URL(cluster.url);
  const nameOf = (): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const request = requestHttps({ hostname, port, path: "/live", agent: false }, (response) => response.resume());
    request.on("socket", (socket) => {
      socket.on("secureConnect", () =>
        resolve(String((socket as unknown as import("node:tls").TLSSocket).getPeerCertificate().subject.CN)),
      );
    });
    request.on("error", reject).end();
    return promise;
  };
  expect(await nameOf()).toBe("http");
  const next = await authority.issue("http-next");
  replacePem(http, next);
  await eventually("the new certificate", async () => (await nameOf()) === "http-next");
});

test("workers with a wrong token or without a certificate are not sent anything, and cost the others nothing", async () => {
  const wrongToken = join(authority.directory, "wrong-token");
  writeFileSync(wrongToken, "another-token-0123456789\n");
  await using stranger = startProgram("dyn-mock-worker", ["--plane-token-file", wrongToken], {
    DYN_FILE_KV: cluster.directory,
  });
  const ignored = (): number =>
    cluster.frontend.lines().filter(({ message }) => message === "discovery record ignored").length;
  await eventually("its record and its card being ignored", () => ignored() === 2);
  await using bare = await cluster.addWorker("--tcp-tls-cert", "", "--tcp-tls-key", "", "--tcp-tls-ca", "");
  for (let count = 0; count < 8; count += 1) {
    expect((await postChat(cluster.url, chat(prompt), { "x-api-key": key })).status).toBe(200);
  }
  for (const worker of [stranger, bare])
    expect(worker.lines().some(({ message }) => message === "request received")).toBe(false);
});

test("a record that somebody changes leads nobody astray, and its worker writes it again", async () => {
  const bucket = join(cluster.directory, "v1", "instances");
  const name =
    readdirSync(bucket).find((each) => readFileSync(join(bucket, each), "utf8").includes('"dyn_plane_tls"')) ?? "";
  const path = join(bucket, name);
  const good = readFileSync(path, "utf8");
  expect(good).toMatch(/"dyn_plane_tls":true,"dyn_idempotent":true,"dyn_signature":"[0-9a-f]{64}"\}$/);
  const changed = good.replace(/127\.0\.0\.1:\d+/, "127.0.0.1:9").replace('"dyn_plane_tls":true,', "");
  const isIgnored = (): boolean =>
    cluster.frontend
      .lines()
      .some(
        (line) => line["message"] === "discovery record ignored" && line["path"] === path && line["level"] === "WARN",
      );
  // A heartbeat may come before the frontend has looked.
  const change = async (): Promise<boolean> => {
    writeFileSync(join(authority.directory, "changed"), changed);
    renameSync(join(authority.directory, "changed"), path);
    expect((await postChat(cluster.url, chat(prompt), { "x-api-key": key })).status).toBe(200);
    await eventually("its return", () => readFileSync(path, "utf8") === good);
    return isIgnored();
  };
  await eventually("the frontend's line", change);
  const isSaid = ({ message }: Line): boolean =>
    message === "discovery record was changed by somebody else and has been published again";
  const said = await eventually("the worker's line", () =>
    cluster.workers.flatMap((worker) => worker.lines()).find(isSaid),
  );
  expect(said).toMatchObject({ level: "WARN", bucket: "v1/instances", key: decodeURIComponent(name) });
  expect(cluster.frontend.stderr()).not.toContain('127.0.0.1:9"');
});

test("no secret and no prompt is in any log, at any level", async () => {
  const bytes = [cluster.frontend, ...cluster.workers].map((program) => program.stderr() + program.stdout()).join("");
  expect(bytes).toContain('"level":"DEBUG"');
  const pem = [http, plane].flatMap((each) =>
    readFileSync(each.key, "utf8")
      .split("\n")
      .filter((line) => line.length > 40),
  );
  for (const secret of [key, laterKey, wrongKey, token, "another-token", prompt, digest(key), "PRIVATE KEY", ...pem])
    expect(bytes).not.toContain(secret);
});
