// What no client should send to a system server, byte by byte, and orders that do not arrive whole.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { createRuntime } from "@dyn/runtime";
import { createLogger } from "../support/logger.ts";

const config = { discoveryBackend: "mem", systemPort: 0 } as const;
const silent = createLogger({ sink: () => undefined });

async function readAll(socket: Socket): Promise<string> {
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  socket.on("error", () => undefined); // a server that refuses may reset
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}

test.each([
  ["no HTTP", "garbage\r\n\r\n", 400, "not valid HTTP/1.1"],
  [
    "two lengths",
    "GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    400,
    "where the body ends is not clear",
  ],
  [
    "no Host",
    "GET /live HTTP/1.1\r\n\r\nGET /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    400,
    "the Host header is missing",
  ],
  [
    "too many headers",
    `GET /live HTTP/1.1\r\nHost: localhost\r\n${"x-a: 1\r\n".repeat(100)}\r\n`,
    431,
    "101 headers, the limit is 100",
  ],
  [
    "too large headers",
    `GET /live HTTP/1.1\r\nx-a: ${"x".repeat(20_000)}\r\n\r\n`,
    431,
    "larger than the limit of 16384 bytes",
  ],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "CONNECT"],
  ["an unknown method", "FROB /live HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "method"],
  ["no version", "GET /live\r\n\r\n", 400, "no version"],
  [
    "an unknown expectation",
    "GET /live HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n".repeat(20),
    417,
    'the expectation "x" cannot be met',
  ],
])("%s is refused there, too, as the last answer of its connection", async (_name, bytes, status, message) => {
  await using runtime = await createRuntime({ config, log: silent.pino });
  const socket = connect(runtime.system.port ?? 0, "127.0.0.1");
  socket.write(bytes);
  const answer = await readAll(socket);
  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
  expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toEqual({ error: expect.stringContaining(message) });
});

test.each([
  ["says nothing", "", "", 408],
  ["drips its headers", "GET /live HTTP/1.1\r\nx-a: ", "x", 408],
  ["drips its body", "GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n", "x", 200],
  ["asks for nothing more", "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 200],
  ["sends empty lines after its request", "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", "\r\n", 200],
])(
  "a client of it that %s is closed in time, and probes are answered beside it",
  async (_name, first, more, status) => {
    await using runtime = await createRuntime({ config: { ...config, systemTimeoutMs: 200 }, log: silent.pino });
    const port = runtime.system.port ?? 0;
    const socket = connect(port, "127.0.0.1");
    socket.write(first);
    const timer = setInterval(() => socket.write(more), 20);
    const ended = readAll(socket).finally(() => clearInterval(timer));
    expect((await fetch(`http://127.0.0.1:${port}/live`)).status).toBe(200);
    expect((await ended).match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
  },
);

test.each([
  ["with a bad chunk", "Transfer-Encoding: chunked\r\n\r\n2\r\nonX", 400],
  ["that stops", "Content-Length: 10\r\n\r\non", 408],
])("an order whose body is one %s is not obeyed", async (_name, rest, status) => {
  await using runtime = await createRuntime({
    config: { ...config, ...(status === 408 && { systemTimeoutMs: 200 }) },
    log: silent.pino,
  });
  const orders: string[] = [];
  runtime.system.addRoute("/lamp", { read: () => "off", orders: { PUT: (body) => void orders.push(body) } });
  const socket = connect(runtime.system.port ?? 0, "127.0.0.1");
  socket.write(`PUT /lamp HTTP/1.1\r\nHost: localhost\r\n${rest}`);
  const answer = await readAll(socket);
  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
  expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toEqual({ error: expect.any(String) });
  expect(orders).toEqual([]);
});

test("a client that leaves in the middle of its order is nobody's fault, and is not obeyed", async () => {
  const errors: unknown[] = [];
  const orders: string[] = [];
  const log = createLogger({ sink: ({ level, message }) => void (level === "ERROR" && errors.push(message)) });
  {
    await using runtime = await createRuntime({ config, log: log.pino });
    runtime.system.addRoute("/lamp", { read: () => "off", orders: { PUT: (body) => void orders.push(body) } });
    const socket = connect(runtime.system.port ?? 0, "127.0.0.1");
    socket.write("PUT /lamp HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    await once(socket, "data"); // the order is being read
    socket.write("on");
    socket.resetAndDestroy();
    expect((await fetch(`http://127.0.0.1:${runtime.system.port}/live`)).status).toBe(200);
  }
  expect(errors).toEqual([]);
  expect(orders).toEqual([]);
});
