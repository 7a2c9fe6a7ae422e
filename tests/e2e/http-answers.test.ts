// Which request has which answer, whole: every path, spelling of a path and method there is an opinion about. The answers are in tests/golden/http (vitest -u writes them).
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { createLogger } from "../support/logger.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
let runtime: Runtime;
beforeAll(async () => {
  cluster = await startCluster({ frontendArgs: ["--http-cors-origins", "http://page.example"] });
  runtime = await createRuntime({
    config: { discoveryBackend: "mem", systemPort: 0 },
    log: createLogger({ sink: () => undefined }).pino,
  });
  runtime.system.addRoute("/faults", { read: () => ({ faults: [] }), orders: { PUT: () => undefined } });
});
afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

const chat = JSON.stringify({ model: "mock", max_tokens: 2, messages: [{ role: "user", content: "one two" }] });
const json = "content-type: application/json";
const long = "x".repeat(1_024);

interface Asked {
  readonly line: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

const gets = (...paths: string[]): Asked[] => paths.map((path) => ({ line: `GET ${path}` }));
const posts = (...paths: string[]): Asked[] =>
  paths.map((path) => ({ line: `POST ${path}`, headers: [json], body: chat }));
const withMethods = (methods: readonly string[], ...paths: string[]): Asked[] =>
  paths.flatMap((path) => methods.map((method) => ({ line: `${method} ${path}`, headers: ["content-length: 0"] })));

const split = (words: string): string[] => words.trim().split(/\s+/);

const frontendPaths = [
  ...split(`
  / /?x // /live /live/ /live// /live?x=1 /live/?x=1 /live? /live#x /live;x=1 /live/x /LIVE /l%69ve /live%20
  /live%2F /live%3Fx /live%23 /live?%zz /live?x/ /%zz /live%zz /live/%E0%A4%A /health/ /metrics/ /favicon.ico
  /favicon.ico/ /v1/models /v1/models/ /v1/models// /v1/models/mock /v1/models/mock/ /v1/models/mock//
  /v1/models//mock /v1/models/a/b /v1/models/a%2Fb /v1/models/a%2fb/ /v1/models/a%20b%25 /v1/models/%6dock
  /v1/%6Dodels/mock /v1%2Fmodels /v1/models%2Fmock /v1/models/%00 /v1/models/% /v1/models/%E0%A4%A
  /v1/models/%C3%A9 /v1/models/%ff /v1/models/mock?x=%zz /v1/models/mock#x /v1/models/mock%3Fx /v1/models/a%3Fb
  /v1/models/a%23b /v1/models/a+b /v1/models/mock;x /v1/models/. /v1/models/.. /v1/models/../models /v1/./models
  /V1/models /v1/Models /v1/model /v1/modelsx /v1 /v1/ /models /v1/v1/models /v1//models /v1/requests
  /v1/requests/ /v1/requests/nobody /v1/requests/nobody/ /v1/requests/a/b /v1/requests/%zz /v1/messages
  /v1/messages/ /v1/messages/x /v1/messages/%zz /v1/messages/count_tokens /v1/chat/completions
  /v1/chat/completions/ /v1/chat /v1/embeddings /chat/completions * http://localhost/live/?x http://localhost
  /v1/models/%25%32%35 /v1/models/%2525 /live%25 /v1/models/%2e%2e /v1/models/%5C`),
  `/v1/models/${long}`,
  `/v1/models/${long}y`,
  `/v1/models/${"%78".repeat(1_024)}`,
  `/v1/models/${"%78".repeat(1_025)}`,
  `/v1/models/${long}/`,
  `/v1/requests/${long}y`,
  `/${long}y`,
];

const frontendAsked: readonly Asked[] = [
  ...gets(...frontendPaths),
  ...["/v1/models", "/v1/models/", "/v1/models/nobody", "/nothing", "/v1/models/%zz"].map((path) => ({
    line: `GET ${path}`,
    headers: ["anthropic-version: 2023-06-01"],
  })),
  ...withMethods(
    ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"],
    "/",
    "/live",
    "/live/",
    "/v1/models",
    "/v1/models/mock",
    "/v1/requests/nobody",
    "/v1/messages/",
    "/nothing",
    "/v1/models/%zz",
    `/v1/models/${long}y`,
  ),
  ...withMethods(["OPTIONS", "HEAD", "POST"], "*"),
  ...posts("/v1/chat/completions", "/v1/chat/completions/", "/v1/chat/completions?x=1", "/v1/chat/completi%6Fns"),
  ...posts("/v1/completions", "/v1/messages", "/v1/messages/", "/v1/messages/count_tokens", "/v1/messages/x"),
  ...posts("/v1/messages/%zz", "/v1/Chat/completions", "/chat/completions", "/v1/chat/completions//", "/live"),
  ...[
    [json, "content-length: 3"],
    [json, "content-encoding: foo", "content-length: 3"],
    ["content-type: text/plain", "content-length: 3"],
    ["content-length: 3"],
    [json, "content-range: bytes 0-1/2", "content-length: 3"],
    [json, "expect: x", "content-length: 3"],
    ["content-type: application/json; charset=latin1", "content-length: 3"],
  ].map((headers) => ({ line: "POST /v1/chat/completions", headers, body: "{,}" })),
  { line: "POST /v1/chat/completions", headers: [json, "content-length: 0"] },
  { line: "POST /v1/chat/completions", headers: [json] },
  { line: "POST /v1/chat/completions", headers: [json, "expect: 100-continue"], body: chat },
  { line: "POST /v1/chat/completions", headers: [json, "expect: 100-continue", "content-length: 100000000000"] },
  { line: "POST /nothing", headers: ["expect: 100-continue"], body: chat },
  { line: "POST /live", headers: ["expect: 100-continue"], body: chat },
  { line: "GET /live", headers: ["content-length: 5"], body: "hello" },
  { line: "GET /live", headers: ["transfer-encoding: chunked"], body: "5\r\nhello\r\n0\r\n\r\n" },
  { line: "GET /v1/models", headers: [json, "content-encoding: foo", "content-length: 2"], body: "{}" },
  { line: "GET /live", headers: ["expect: 100-continue", "content-length: 5"], body: "hello" },
  { line: "PUT /live", headers: ["content-length: 5"], body: "hello" },
  { line: "GET /nothing", headers: ["content-length: 5"], body: "hello" },
  { line: "GET /live", headers: ["connection: upgrade", "upgrade: h2c"] },
  { line: "GET /live", headers: ["x-request-id: mine", "request-id: 7f9c24e8-3b12-4fef-91e0-4b8a2f0f8a10"] },
  { line: "GET /nothing", headers: ["x-request-id: mine", "request-id: mine"] },
  ...["http://page.example", "http://other.example"].flatMap((origin) =>
    ["/v1/chat/completions", "/nothing", "/v1/models/%zz"].flatMap((path) => [
      { line: `OPTIONS ${path}`, headers: [`origin: ${origin}`, "access-control-request-method: POST"] },
      { line: `OPTIONS ${path}`, headers: [`origin: ${origin}`] },
      { line: `GET ${path}`, headers: [`origin: ${origin}`] },
    ]),
  ),
];

const systemAsked: readonly Asked[] = [
  ...gets("/", "/?x", "//", "/live", "/live/", "/live?x", "/live/?x", "/LIVE", "/l%69ve", "/health", "/metrics", "*"),
  ...gets("/metrics/", "/nothing", "/%zz", "/faults", "/faults/", `/${long}`, "http://localhost/live", "/favicon.ico"),
  ...withMethods(
    ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
    "/",
    "/live",
    "/live/",
    "/nothing",
    "/faults",
    "/faults/",
    "/%zz",
  ),
  { line: "PUT /faults", headers: ["expect: 100-continue", "content-length: 2"], body: "[]" },
  { line: "PUT /faults", headers: ["content-length: 100000"] },
  { line: "PUT /faults", headers: ["content-type: text/plain; charset=latin1", "content-length: 2"], body: "[]" },
  { line: "PUT /faults", headers: ["content-encoding: foo", "content-length: 2"], body: "[]" },
  { line: "PUT /live", headers: ["content-length: 5"], body: "hello" },
  { line: "GET /live", headers: ["content-length: 5"], body: "hello" },
  { line: "GET /live", headers: ["expect: 100-continue", "content-length: 5"], body: "hello" },
  { line: "GET /live", headers: ["expect: x"] },
  { line: "GET /live", headers: ["origin: http://page.example"] },
  { line: "GET /live", headers: ["x-request-id: mine", "request-id: 7f9c24e8-3b12-4fef-91e0-4b8a2f0f8a10"] },
  { line: "GET /nothing", headers: ["x-request-id: mine", "request-id: mine"] },
  { line: "GET /live", headers: ["connection: upgrade", "upgrade: h2c"] },
];

const second = "GET /second HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

// What goes over the wire after a request and one behind it, which shows whether the connection goes on.
async function ask(port: number, { line, headers = [], body = "" }: Asked): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined); // a server that refuses may reset; what it said before is looked at
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const isFramed = headers.some((header) => /^(?:content-length|transfer-encoding):/.test(header));
  const framing = body === "" || isFramed ? [] : [`content-length: ${body.length}`];
  const head = [`${line} HTTP/1.1`, "host: localhost", ...headers, ...framing, "", ""].join("\r\n");
  socket.write(head + body + second);
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

const isChanging = /^(?:GET|HEAD) (?:http:\/\/localhost)?\/{0,2}(?:l(?:i|%69)ve|health|metrics)?\/?(?:[?#]\S*)?$/;

// One line for each line of the answer; ids, times and pages that change are left out.
function show({ line, headers = [] }: Asked, answer: string): string {
  const first = answer.split(/(?=HTTP\/1\.1 [2-5])/)[0] ?? "";
  const isContinued = answer.startsWith("HTTP/1.1 100");
  const whole = isContinued ? (answer.split(/(?=HTTP\/1\.1 [2-5])/)[1] ?? "") : first;
  const rest = answer.slice((isContinued ? first.length : 0) + whole.length);
  const changes = isChanging.test(line) && /^HTTP\/1\.1 (?:200|503)/.test(whole);
  const [head = "", body = ""] = whole.split("\r\n\r\n");
  const [status = "", ...fields] = head.toLowerCase().split("\r\n");
  const isShown = (field: string): boolean => !(changes ? /^(?:date|content-length):/ : /^date:/).test(field);
  const shown = [
    ...(isContinued ? ["100 continue"] : []),
    status,
    ...fields.filter(isShown).sort(),
    changes ? `${body.slice(0, 16)}…` : body,
    rest === "" ? "(the connection ends)" : "(the connection goes on)",
  ];
  const asked = [line, ...headers]
    .join(" | ")
    .replace(/x{100,}/g, "x…")
    .replace(/(?:%78){100,}/g, "%78…");
  const text = shown.join("\n  ");
  return `${asked}\n  ${text}\n`
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID")
    .replaceAll(/\b\d{10}\b|\d{4}-\d\d-\d\dT[\d:.]*Z/g, "TIME")
    .replaceAll(/x{100,}/g, "x…");
}

async function record(port: number, all: readonly Asked[]): Promise<string> {
  const shown: string[] = [];
  for (const asked of all) shown.push(show(asked, await ask(port, asked)));
  return shown.join("\n");
}

test("a frontend answers each path, spelling and method as it always has", async () => {
  const port = Number(new URL(cluster.url).port);
  await expect(await record(port, frontendAsked)).toMatchFileSnapshot("../golden/http/frontend.txt");
});

test("a system server answers each path, spelling and method as it always has", async () => {
  await expect(await record(runtime.system.port ?? 0, systemAsked)).toMatchFileSnapshot("../golden/http/system.txt");
});
