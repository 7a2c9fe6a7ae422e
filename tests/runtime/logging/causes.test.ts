// The text of an error in the log.
import { createServer } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { toRuntimeError } from "../../../packages/runtime/src/thrown.ts";
import { formatError } from "../../../packages/runtime/src/logging/causes.ts";

// A port nobody listens on: it was ours until just now.
async function findClosedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}

test("a call that failed says which address refused it", async () => {
  const port = await findClosedPort();
  const failed: unknown = await fetch(`http://127.0.0.1:${port}/`).catch((error: unknown) => error);
  const text = formatError(toRuntimeError(failed));
  expect(text).toMatch(/^TypeError: fetch failed\n/);
  expect(text).toContain(`\ncaused by: Error: connect ECONNREFUSED 127.0.0.1:${port}`);
});

test("all errors of several are told, with the code and the address that their messages leave out", () => {
  const refused = Object.assign(new Error("connect failed"), { code: "ECONNREFUSED", address: "::1", port: 80 });
  const unreachable = Object.assign(new Error("connect ENETUNREACH 10.0.0.1:80"), {
    code: "ENETUNREACH",
    address: "10.0.0.1",
    port: 80,
  });
  const error = new RuntimeError("unavailable", "the backend is down", {
    cause: new AggregateError([refused, unreachable], ""),
  });
  const heads = formatError(error)
    .split("\n")
    .filter((line) => !line.startsWith("    at "));
  expect(heads).toEqual([
    "RuntimeError: the backend is down (unavailable)",
    "caused by: AggregateError: ",
    "one of several: Error: connect failed (ECONNREFUSED, ::1:80)",
    "one of several: Error: connect ENETUNREACH 10.0.0.1:80",
  ]);
});

test("a foreign error that was given a code is told once, from where it began", () => {
  const foreign = new TypeError("x is not a function");
  expect(formatError(toRuntimeError(foreign))).toBe(foreign.stack);
});

test("causes that go round are told once, and a long chain has an end", () => {
  const first = new Error("first");
  const second = new Error("second", { cause: first });
  first.cause = second;
  expect(formatError(first).match(/caused by/g)).toHaveLength(1);
  let chain = new Error("0");
  for (let level = 1; level < 100; level += 1) chain = new Error(String(level), { cause: chain });
  expect(formatError(chain).match(/caused by/g)).toHaveLength(5);
});

test("a cause that is no error is told as it is", () => {
  expect(formatError(new Error("x", { cause: { status: 503 } }))).toContain("\ncaused by: { status: 503 }");
});
