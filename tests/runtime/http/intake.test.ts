// What a request brings: read into one buffer, its memory taken before it is there, decoded in time.
import { PassThrough } from "node:stream";
import type { IncomingMessage } from "node:http";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import type { Exchange } from "../../../packages/runtime/src/http/exchange.ts";
import { createIntake, type Intake } from "../../../packages/runtime/src/http/intake.ts";
import type { RouteEntry } from "../../../packages/runtime/src/http/route.ts";
import { parseCodings } from "../../../packages/runtime/src/http/content-coding.ts";
import { readBody } from "../../../packages/runtime/src/http/read-body.ts";
import { createMemoryBudget, type MemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { eventually } from "../../support/cluster.ts";

const mib = 1024 * 1024;
const inference = { takes: "json", kind: "inference" } as unknown as RouteEntry;
const counting = { takes: "json", kind: "lookup" } as unknown as RouteEntry;
const intake = openIntake(2);

afterEach(() => void vi.useRealTimers());

function openIntake(maxMib: number): Intake {
  return createIntake({
    maxBodyBytes: maxMib * mib,
    bodySetting: "DYN_HTTP_BODY_LIMIT_MB",
    decodeTimeoutMs: 1_000,
    timeoutOf: ({ headers }) => Number(headers["x-request-timeout-ms"] ?? Number.POSITIVE_INFINITY),
    now: () => 0,
  });
}

function toRequest(headers: Readonly<Record<string, string>>): IncomingMessage & PassThrough {
  return Object.assign(new PassThrough(), { headers }) as unknown as IncomingMessage & PassThrough; // all that is read of one
}

function toExchange(request: IncomingMessage, budget: MemoryBudget): Exchange {
  const aborter = new AbortController();
  const abort = (reason: Error): void => aborter.abort(reason);
  return { request, memory: budget.open(), signal: aborter.signal, abort, startedAt: 0 } as unknown as Exchange; // all that is read of one
}

function openBudget(limitMib: number): MemoryBudget {
  return createMemoryBudget(limitMib * 1024 * 1024, createRuntimeMetrics().memory);
}

test("a body is whole however it is cut, with and without its length", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), async (chunks, isStated) => {
      const whole = Buffer.concat(chunks);
      const request = toRequest(isStated ? { "content-length": String(whole.length) } : {});
      let room = 0;
      const reading = readBody(request, { maxBytes: mib, onGrow: (bytes) => (room += bytes) });
      for (const chunk of chunks) request.write(chunk);
      request.end();
      expect((await reading).equals(whole)).toBe(true);
      const isLarge = whole.length > mib / 3;
      if (isStated) expect(room).toBe(isLarge ? 0 : whole.length);
      else expect(room).toBeGreaterThanOrEqual(whole.length);
      expect(room).toBeLessThanOrEqual(mib);
    }),
    { numRuns: 50 },
  );
});

test("a body whose client has left before it is read is refused", async () => {
  const request = toRequest({ "content-length": "10" });
  request.destroy();
  await expect(readBody(request, { maxBytes: mib })).rejects.toThrow(
    expect.objectContaining({ code: "invalid_argument" }),
  );
});

test("a large body takes three times its length before it is there, and its answer 64 KiB", () => {
  const budget = openBudget(8);
  expect(intake.reserve(toExchange(toRequest({ "content-length": "400000" }), budget), inference)).toBeUndefined();
  expect(budget.usedBytes).toBe(1_200_000 + 65_536);
  expect(intake.reserve(toExchange(toRequest({ "content-length": "400000" }), budget), counting)).toBeUndefined();
  expect(budget.usedBytes).toBe(2_400_000 + 65_536);
});

test("a small body takes three times what has come of it: those who only say that they will send one hold up nobody", async () => {
  const budget = openBudget(8);
  const request = toRequest({ "content-length": "300000" });
  const exchange = toExchange(request, budget);
  expect(intake.reserve(exchange, counting)).toBeUndefined();
  const reading = intake.read(exchange);
  expect(budget.usedBytes).toBe(0);
  for (let sent = 1; sent <= 3; sent += 1) {
    request.write(Buffer.alloc(100_000));
    await eventually("its arrival", () => budget.usedBytes === sent * 300_000);
  }
  request.end();
  expect(await reading).toHaveLength(300_000);

  const late = toRequest({ "content-length": "300000" });
  using other = budget.open();
  for (let taken = 0; taken < 7; taken += 1) other.take(mib);
  const failing = intake.read(toExchange(late, budget));
  for (let sent = 1; sent <= 3; sent += 1) late.write(Buffer.alloc(100_000));
  await expect(failing).rejects.toMatchObject({ code: "overloaded" });
  expect(budget.usedBytes).toBeLessThanOrEqual(budget.limitBytes);
});

test("a body over the limit takes nothing: it is refused for its length, whatever memory is left", async () => {
  const budget = openBudget(1);
  const exchange = toExchange(toRequest({ "content-length": String(2 * mib + 1) }), budget);
  expect(intake.reserve(exchange, inference)).toBeUndefined();
  expect(budget.usedBytes).toBe(0);
  await expect(intake.read(exchange)).rejects.toMatchObject({
    code: "too_large",
    message: expect.stringContaining("DYN_HTTP_BODY_LIMIT_MB") as string,
  });
});

test("a body without a length is refused when it grows beyond what is left", async () => {
  const budget = openBudget(12);
  using other = budget.open();
  other.take(8 * mib);
  const request = toRequest({});
  const exchange = toExchange(request, budget);
  const reading = intake.read(exchange);
  for (let sent = 0; sent < 8; sent += 1) request.write(Buffer.alloc(128 * 1024));
  await expect(reading).rejects.toMatchObject({ code: "overloaded" });
  expect(budget.usedBytes).toBeLessThanOrEqual(budget.limitBytes);
  exchange.memory[Symbol.dispose]();
  expect(budget.usedBytes).toBe(8 * mib);
});

test("a body in a coding takes its decoded length, too", async () => {
  const budget = openBudget(8);
  const exchange = toExchange(toRequest({}), budget);
  const decoded = await intake.decode(exchange, gzipSync(Buffer.alloc(1_000_000)), parseCodings("gzip"));
  expect(decoded).toHaveLength(1_000_000);
  expect(budget.usedBytes).toBe(3_000_000);
  const second = toExchange(toRequest({}), openBudget(1));
  await expect(intake.decode(second, gzipSync(Buffer.alloc(1_000_000)), parseCodings("gzip"))).rejects.toMatchObject({
    code: "too_large",
  });
});

test.each([
  ["the time that a body may take to arrive", {}, 1_000],
  ["the request's own time", { "x-request-timeout-ms": "70" }, 70],
])("a body that waits for the decoder is late after %s", async (_name, headers, ms) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const [budget, waiting] = [openBudget(64), openIntake(8)];
  const body = gzipSync(Buffer.alloc(8 * mib));
  const before = [0, 1].map(() => waiting.decode(toExchange(toRequest({}), budget), body, parseCodings("gzip")));
  const late = waiting.decode(toExchange(toRequest(headers), budget), body, parseCodings("gzip"));
  const expected = expect(late).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: `the request body was not decoded within ${ms} ms`,
  });
  vi.advanceTimersByTime(ms);
  await expected;
  await Promise.allSettled(before);
});
