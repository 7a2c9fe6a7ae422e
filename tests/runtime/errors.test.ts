// What a handler says of its failure, besides the code and the message, reaches its caller; and what is wrong with it harms nobody.
import { describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  RuntimeError,
  type Client,
  type Handler,
  type Runtime,
} from "../../packages/runtime/src/index.ts";
import { toPublicDetails } from "../../packages/runtime/src/errors.ts";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder } from "../../packages/runtime/src/wire/frames.ts";
import { decodeError, encodeError, type ErrorMessage } from "../../packages/runtime/src/wire/endings.ts";
import { address, config, failureOf, startPair, type Ask } from "./peers.ts";

const failing =
  (error: () => unknown): Handler<Ask, unknown> =>
  async () => {
    throw error();
  };

const said = {
  details: { limit: 8_192, tokens: 9_000, models: ["a", "b"] },
  apiCode: "context_length_exceeded",
  param: "messages",
  retryAfterMs: 7_000,
  retryable: false,
};

describe("what is said besides", () => {
  test("reaches the caller as it was said", async () => {
    await using pair = await startPair({
      handler: failing(() => new RuntimeError("invalid_argument", "too long", said)),
    });
    expect(await failureOf(pair.client.call({ count: 1 }))).toMatchObject({
      code: "invalid_argument",
      message: "too long",
      ...said,
    });
  });

  test("is nothing where nothing is said", async () => {
    await using pair = await startPair({ handler: failing(() => new RuntimeError("rate_limited", "later")) });
    const { details, apiCode, param, retryAfterMs, retryable } = await failureOf(pair.client.call({ count: 1 }));
    expect({ details, apiCode, param, retryAfterMs, retryable }).toEqual({ retryable: false });
  });

  test.each([
    ["is no plain data", { at: { on: () => 1 } }, "at.on is a function"],
    ["is too much", { text: "x".repeat(2_000) }, "they are 2009 bytes, the limit is 1024"],
  ])("and %s is left out, with a line, and the error arrives", async (_name, details, problem) => {
    const error = new RuntimeError("invalid_argument", "no", { details, param: "n" });
    await using pair = await startPair({ handler: failing(() => error) });
    const failure = await failureOf(pair.client.call({ count: 1 }));
    expect(failure).toMatchObject({ code: "invalid_argument", message: "no", details: undefined, param: "n" });
    const line = pair.workerLines.find(({ message }) => message === "details of an error are not sent");
    expect(line).toMatchObject({ level: "WARN", error: problem, request_id: expect.any(String) });
  });

  test("is left out where a frame has no room for it, rather than the error", async () => {
    const error = new RuntimeError("invalid_argument", "€".repeat(1_024), {
      details: { text: "x".repeat(1_000) },
      param: "€".repeat(256),
    });
    await using pair = await startPair({ caller: { tcpMaxMessageSize: 4_096 }, handler: failing(() => error) });
    const failure = await failureOf(pair.client.call({ count: 1 }));
    expect(failure).toMatchObject({ code: "invalid_argument", message: "€".repeat(1_024), details: undefined });
  });

  test("of a fault is for the caller, and for no client, as its message", () => {
    const details = { host: "db.internal" };
    expect(toPublicDetails(new RuntimeError("internal", "db.internal is gone", { details }))).toBeUndefined();
    expect(toPublicDetails(new RuntimeError("unavailable", "later", { details }))).toEqual(details);
  });

  test("is JSON for clients, whatever plain data it is", () => {
    const details = { big: 2n ** 60n, bytes: Uint8Array.of(1, 2), none: null };
    expect(toPublicDetails(new RuntimeError("overloaded", "full", { details }))).toEqual({
      big: "1152921504606846976",
      bytes: "AQI=",
      none: null,
    });
  });
});

test.each([
  ["details", [1]],
  ["details", "text"],
  ["apiCode", "two words"],
  ["apiCode", "x".repeat(65)],
  ["param", "x".repeat(257)],
  ["param", 5],
  ["retryAfterMs", -1],
  ["retryAfterMs", Number.NaN],
  ["retryAfterMs", 86_400_001],
  ["retryable", "no"],
])("%s %j is refused where the error is made, by name", (name, value) => {
  expect(() => new RuntimeError("internal", "x", { [name]: value })).toThrow(
    expect.objectContaining({
      name: "TypeError",
      message: expect.stringContaining(`${name} of a RuntimeError must be`),
    }),
  );
});

function passOn(error: object): ErrorMessage {
  const writer = new FrameWriter();
  encodeError(writer, 1, error as ErrorMessage);
  let decoded: ErrorMessage | undefined;
  const decoder = new FrameDecoder(1 << 20);
  for (const bytes of writer.take()) decoder.push(bytes, (_type, _id, body) => (decoded = decodeError(body)));
  if (!decoded) throw new Error("no frame");
  return decoded;
}

test("an option that there is not is refused where the error is made, rather than never heard of", () => {
  const options: object = { retryAfter: 5 };
  expect(() => new RuntimeError("rate_limited", "not now", options)).toThrow(
    "retryAfter is no option of a RuntimeError, expected cause, publicMessage, details, apiCode, param, retryAfterMs, retryable",
  );
});

test("what a peer says besides and out of its bounds is left out", () => {
  const base = { code: "overloaded", message: "full", retryable: true, produced: false };
  expect(passOn({ ...base, ...said, retryable: true })).toEqual({ ...base, ...said, retryable: true });
  expect(passOn({ ...base, retryable: false, ifIdempotent: true })).toMatchObject({ ifIdempotent: true });
  const hostile = { details: [1], apiCode: "a b", param: "x".repeat(300), retryAfterMs: -1 };
  expect(passOn({ ...base, ...hostile })).toEqual(base);
  expect(passOn({ ...base, details: { text: "x".repeat(2_000) }, retryAfterMs: 1e12 })).toEqual(base);
});

interface Trio extends AsyncDisposable {
  readonly client: Client<Ask, unknown>;
}

// A caller, and two instances.
async function startTrio(handler: Handler<Ask, unknown>): Promise<Trio> {
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> => createRuntime({ config: { ...config, log: "off" }, memorySpace });
  const [caller, ...servers] = await Promise.all([open(), open(), open()]);
  for (const server of servers) await server.endpoint(address).serve(handler, { idempotent: true });
  const client = caller.client<Ask, unknown>(address);
  await client.waitForInstances({ count: 2 });
  const close = async (): Promise<void> => void (await Promise.all([caller, ...servers].map((each) => each.close())));
  return { client, [Symbol.asyncDispose]: close };
}

describe("whether another instance may be tried", () => {
  test.each([
    ["overloaded", undefined, 2],
    ["overloaded", false, 1],
    ["internal", undefined, 1],
    ["internal", true, 2],
  ] as const)("is the handler's to say: %s, retryable %s, is asked of %i", async (code, retryable, asked) => {
    let calls = 0;
    await using trio = await startTrio(
      failing(() => {
        calls += 1;
        return new RuntimeError(code, "not here", { retryable });
      }),
    );
    expect(await failureOf(trio.client.call({ count: 1 }))).toMatchObject({ code });
    expect(calls).toBe(asked);
  });
});
