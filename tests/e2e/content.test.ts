// Bodies as clients send them, to running processes: what they mean is read, or refused by name, and never something else.
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRuntime } from "@dyn/runtime";
import { chat, eventually, postChat, startCluster, type Cluster } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";
import { peakMib } from "../support/memory.ts";

let cluster: Cluster;
beforeAll(async () => (cluster = await startCluster()));
afterAll(async () => cluster[Symbol.asyncDispose]());

const messages = [{ role: "user", content: "café 😀" }];
const bodies: Readonly<Record<string, object>> = {
  "/v1/chat/completions": { model: "mock", messages },
  "/v1/completions": { model: "mock", prompt: "café 😀" },
  "/v1/messages": { model: "mock", max_tokens: 10, messages },
  "/v1/messages/count_tokens": { model: "mock", messages },
};

interface Posted {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function post(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Posted> {
  const response = await fetch(`${cluster.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test.each(Object.entries(bodies))(
  "%s takes bodies in codings, and refuses what would be another text",
  async (path, given) => {
    const body = Buffer.from(JSON.stringify(given));
    const plain = await post(path, body);
    expect(plain.status).toBe(200);
    for (const [coding, coded] of [
      ["gzip", gzipSync(body)],
      ["br", brotliCompressSync(body)],
      ["zstd, gzip", gzipSync(zstdCompressSync(body))],
      ["identity", body],
    ] as const) {
      const { status, text } = await post(path, coded, { "content-encoding": coding });
      expect([status, text.includes("café 😀")]).toEqual([200, plain.text.includes("café 😀")]);
    }
    const refusals: readonly [number, string, Promise<Posted>][] = [
      [400, "0xe9 at position", post(path, Buffer.from(JSON.stringify(given).replace(" 😀", ""), "latin1"))],
      [400, "it seems to be UTF-16", post(path, Buffer.from(`\ufeff${JSON.stringify(given)}`, "utf16le"))],
      [400, "\\\\ud83d at position 5", post(path, Buffer.from(JSON.stringify(given).replace("😀", "\\ud83d")))],
      [400, "not valid gzip", post(path, body, { "content-encoding": "gzip" })],
      [
        400,
        "in the middle of its br data",
        post(path, brotliCompressSync(body).subarray(0, -1), { "content-encoding": "br" }),
      ],
      [400, "content-range", post(path, body, { "content-range": "bytes 0-9/10" })],
      [415, "latin1", post(path, body, { "content-type": "application/json; charset=latin1" })],
      [415, "compress", post(path, body, { "content-encoding": "compress" })],
    ];
    for (const [status, words, posted] of refusals) {
      const answer = await posted;
      expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)]);
      expect(JSON.parse(answer.text)).toMatchObject({ error: { type: "invalid_request_error" } });
      expect(answer.headers.get("accept-encoding")).toBe(words === "compress" ? "gzip, deflate, br, zstd" : null);
    }
    expect((await post(path, Buffer.from(`\ufeff${JSON.stringify(given)}`))).text).toContain(
      plain.text.includes("café 😀") ? "café 😀" : "input_tokens",
    );
  },
);

test("a client that waits for a word is told of its headers before it sends the body, and asked for one that can be read", async () => {
  const body = gzipSync(JSON.stringify(chat("hello")));
  const head = (coding: string, type = "application/json"): string =>
    [
      "POST /v1/chat/completions HTTP/1.1",
      "host: localhost",
      "expect: 100-continue",
      `content-type: ${type}`,
      `content-encoding: ${coding}`,
    ].join("\r\n") + `\r\ncontent-length: ${body.length}\r\n\r\n`;
  const { port } = new URL(cluster.url);
  using asked = dial(Number(port));
  asked.socket.write(head("gzip"));
  await eventually("the word", () => asked.text() === "HTTP/1.1 100 Continue\r\n\r\n");
  asked.socket.write(body);
  await eventually("the answer", () => asked.text().includes('"content":"hello"'));
  for (const given of [head("lzma"), head("gzip", "application/json; charset=gbk"), head("gzip", "text/plain")]) {
    using refused = dial(Number(port));
    refused.socket.write(given);
    await eventually("the end", refused.isClosed);
    expect(refused.text()).toMatch(/^HTTP\/1\.1 415 /);
  }
});

test("bombs cost their own requests a 413, and nobody memory", async () => {
  const zeros = Buffer.alloc(64 * 1_048_576);
  const zstd = zstdCompressSync(zeros); // the fastest by far, so most are of it
  const gzip = gzipSync(zeros);
  const bombs: readonly (readonly [string, Buffer])[] = [
    ["gzip", gzip],
    ["br", brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ["gzip, zstd", zstdCompressSync(gzip)],
    ...Array.from({ length: 9 }, () => ["zstd", zstd] as const),
  ];
  const { pid } = cluster.frontend;
  const before = peakMib(pid);
  const answers = bombs.map(([coding, bomb]) => post("/v1/chat/completions", bomb, { "content-encoding": coding }));
  const beside = await postChat(cluster.url, chat("is everything all right?"));
  expect(beside.status).toBe(200);
  for (const { status, text } of await Promise.all(answers)) {
    expect([status, text]).toEqual([
      413,
      expect.stringContaining("larger than 33554432 bytes, the limit set by DYN_HTTP_BODY_LIMIT_MB"),
    ]);
  }
  // Held, they would take 384 MiB; what there is more are windows, and chunks that wait for the collector.
  if (before !== undefined) expect((peakMib(pid) ?? 0) - before).toBeLessThan(256);
});

test.each(["/v1/models/caf%E9", "/v1/models/%80", "/v1/models/%ED%A0%BD", "/v1/models/%"])(
  "the path %s is no text, and refused",
  async (path) => {
    const response = await fetch(`${cluster.url}${path}`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("percent-encoding")]);
  },
);

test("a query is text, or refused", async () => {
  const list = (query: string): Promise<Response> =>
    fetch(`${cluster.url}/v1/models?${query}`, { headers: { "anthropic-version": "2023-06-01" } });
  expect((await list("after_id=caf%C3%A9&limit=5")).status).toBe(200);
  const refused = await list("after_id=caf%E9");
  expect([refused.status, await refused.text()]).toEqual([
    400,
    expect.stringContaining("the query is not valid percent-encoding"),
  ]);
});

test("orders to a system server are read by the same rules", async () => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem", systemPort: 0, log: "off" } });
  const orders: string[] = [];
  runtime.system.addRoute("/lamp", { read: () => "off", orders: { PUT: (text) => void orders.push(text) } });
  const put = async (
    body: Buffer,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<[number, string, string | null]> => {
    const response = await fetch(`http://127.0.0.1:${runtime.system.port}/lamp`, { method: "PUT", headers, body });
    return [response.status, await response.text(), response.headers.get("accept-encoding")];
  };
  expect(await put(Buffer.from("é"))).toEqual([200, '"off"', null]);
  expect(await put(gzipSync("on"), { "content-encoding": "gzip" })).toEqual([200, '"off"', null]);
  expect(orders).toEqual(["é", "on"]);
  expect(await put(Buffer.of(0x61, 0x61, 0xe9))).toEqual([400, expect.stringContaining("0xe9 at position 2"), null]);
  expect(await put(Buffer.from("on"), { "content-encoding": "gzip" })).toEqual([
    400,
    expect.stringContaining("not valid gzip"),
    null,
  ]);
  expect(await put(Buffer.from("on"), { "content-encoding": "compress" })).toEqual([
    415,
    expect.stringContaining("compress"),
    "gzip, deflate, br, zstd",
  ]);
  expect(await put(Buffer.from("on"), { "content-type": "text/plain; charset=latin1" })).toEqual([
    415,
    expect.stringContaining("latin1"),
    null,
  ]);
  expect(await put(gzipSync(Buffer.alloc(70_000)), { "content-encoding": "gzip" })).toEqual([
    413,
    expect.stringContaining("65536"),
    null,
  ]);
  expect(await put(Buffer.alloc(70_000))).toEqual([413, expect.stringContaining("65536"), null]);
  expect(orders).toHaveLength(2);
});
