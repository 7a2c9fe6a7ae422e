// Limits of time for each step of an answer of the upstream, by a clock that the test turns.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ServerResponse } from "node:http";
import { createUpstreamHttp, type Reply, type UpstreamHttp } from "../../packages/upstream-worker/src/http.ts";
import { startScriptedServer, type ScriptedServer } from "./scripted-server.ts";

let server: ScriptedServer;
let http: UpstreamHttp;
const limits = { connectTimeoutMs: 1_000, firstByteTimeoutMs: 20_000, idleTimeoutMs: 3_000 };

beforeEach(async () => {
  server = await startScriptedServer();
  http = createUpstreamHttp({ url: server.url, ...limits });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  http[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function ask(signal: AbortSignal = new AbortController().signal): Promise<Reply> {
  return http.ask({ method: "POST", path: "/x", headers: {}, body: "{}", signal });
}

/** The answer that the server has begun, and its reader, who has read "a". */
async function begin(): Promise<{ response: ServerResponse; reply: Reply; body: AsyncIterator<Uint8Array> }> {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  server.answer = (response) => {
    response.writeHead(200).write("a");
    resolve(response);
  };
  const reply = await ask();
  const body = reply.body[Symbol.asyncIterator]();
  const { value } = (await body.next()) as { value: Uint8Array };
  expect(Buffer.from(value).toString()).toBe("a");
  return { response: await promise, reply, body };
}

test("a server without TLS behind https:// is an error that says what to look at", async () => {
  using secure = createUpstreamHttp({ url: server.url.replace("http:", "https:"), ...limits });
  const signal = new AbortController().signal;
  await expect(secure.ask({ method: "GET", path: "/models", headers: {}, signal })).rejects.toMatchObject({
    code: "unavailable",
    message:
      "the connection to the upstream failed: what answers does not speak TLS (EPROTO); --url may have to begin with http://",
  });
});

test("a reader that takes an hour is not the upstream's silence", async () => {
  const { response, reply, body } = await begin();
  vi.advanceTimersByTime(3_600_000);
  response.end("b");
  const { value } = (await body.next()) as { value: Uint8Array };
  expect(Buffer.from(value).toString()).toBe("b");
  expect(await body.next()).toEqual({ done: true, value: undefined });
  reply.release();
  reply[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
});

test("silence after the first byte has a limit of its own", async () => {
  const { reply, body } = await begin();
  const next = expect(body.next()).rejects.toMatchObject({
    code: "unavailable",
    message: "the upstream has fallen silent: the limit is 3000 ms",
  });
  vi.advanceTimersByTime(limits.idleTimeoutMs);
  await next;
  reply[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
});

test("a head does not count as the first byte", async () => {
  server.answer = (response) => response.writeHead(200).flushHeaders();
  const reply = await ask();
  const next = expect(reply.body[Symbol.asyncIterator]().next()).rejects.toThrow("has not begun to answer");
  vi.advanceTimersByTime(limits.idleTimeoutMs);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(limits.firstByteTimeoutMs);
  await next;
  reply[Symbol.dispose]();
});

test("whoever aborts gets the reason, before the head and after it, and the upstream sees it", async () => {
  const reason = new Error("enough");
  const early = new AbortController();
  server.answer = () => early.abort(reason);
  await expect(ask(early.signal)).rejects.toBe(reason);
  await server.heard[0]?.left;
  const late = new AbortController();
  server.answer = (response) => response.writeHead(200).flushHeaders();
  using reply = await ask(late.signal);
  const next = reply.body[Symbol.asyncIterator]().next();
  late.abort(reason);
  await expect(next).rejects.toBe(reason);
  await server.heard[1]?.left;
  await expect(ask(late.signal)).rejects.toBe(reason);
});

test("an answer that is disposed unread ends its connection", async () => {
  server.answer = (response) => void response.writeHead(200).write("a");
  const reply = await ask();
  reply[Symbol.dispose]();
  await server.heard[0]?.left;
  expect(vi.getTimerCount()).toBe(0);
});

test("a released answer that goes on for ever is cut", async () => {
  const { reply } = await begin();
  reply.release();
  reply[Symbol.dispose]();
  vi.advanceTimersByTime(1_000);
  await server.heard[0]?.left;
});
