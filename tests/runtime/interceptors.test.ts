// Interceptors: what requests and items go through, at a client, at a served endpoint, and at both of a runtime.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  createMemorySpace,
  createRuntime,
  defineEndpoint,
  RuntimeError,
  type InterceptedCall,
  type Interceptor,
} from "../../packages/runtime/src/index.ts";
import { add, ask, startEnds } from "./intercepted-ends.ts";
import { address, collect, config, failureOf, startPair, type Ask } from "./peers.ts";

/** Says when it is entered and left. */
function say(name: string, said: string[]): Interceptor {
  return (next) =>
    async function* (call) {
      said.push(`${name} in`);
      yield* next(call);
      said.push(`${name} out`);
    };
}

async function* twice(pieces: unknown): AsyncGenerator<number> {
  for await (const piece of pieces as AsyncIterable<number>) yield 2 * piece;
}

const refuse: Interceptor = () => () => {
  throw new RuntimeError("invalid_argument", "not today", { param: "day" });
};

describe("interceptors", () => {
  test("stand around each other in the order of the list: the runtime's, then the client's or the endpoint's", async () => {
    const said: string[] = [];
    const sided: Interceptor = (next) => (call) => say(`${call.side} runtime`, said)(next)(call);
    await using ends = await startEnds({
      all: [sided],
      asked: [say("client 1", said), say("client 2", said)],
      served: [say("server 1", said), say("server 2", said)],
    });
    await collect(ends.client.generate({ count: 2 }));
    expect(said.filter((each) => !each.startsWith("server"))).toEqual([
      "client runtime in",
      "client 1 in",
      "client 2 in",
      "client 2 out",
      "client 1 out",
      "client runtime out",
    ]);
    expect(said.filter((each) => each.startsWith("server"))).toEqual([
      "server runtime in",
      "server 1 in",
      "server 2 in",
      "server 2 out",
      "server 1 out",
      "server runtime out",
    ]);
  });

  test.each(["asked", "served"] as const)("change the request and its items: %s", async (end) => {
    await using ends = await startEnds({ [end]: [add(10), add(100), ask({ count: 3 })] });
    expect(await collect(ends.client.generate({ count: 0 }))).toEqual([110, 111, 112]);
  });

  test.each(["asked", "served"] as const)("stand around an async function, too: %s", async (end) => {
    await using ends = await startEnds({ [end]: [add(1)], handler: async (request) => request.count });
    expect(await ends.client.call({ count: 4 })).toBe(5);
  });

  test.each(["asked", "served"] as const)("refuse a request by throwing: %s", async (end) => {
    let calls = 0;
    await using ends = await startEnds({ [end]: [refuse], handler: async () => (calls += 1) });
    const answer = ends.client.generate({ count: 1 });
    expect(await failureOf(collect(answer))).toMatchObject({
      code: "invalid_argument",
      message: "not today",
      param: "day",
    });
    expect([calls, answer.attempts]).toEqual([0, end === "asked" ? 0 : 1]);
  });

  test.each(["asked", "served"] as const)("answer by themselves without calling on: %s", async (end) => {
    let calls = 0;
    const cached: Interceptor = () =>
      async function* () {
        yield "kept";
      };
    await using ends = await startEnds({ [end]: [cached], handler: async () => (calls += 1) });
    expect(await ends.client.call({ count: 1 })).toBe("kept");
    expect(calls).toBe(0);
  });

  test.each(["asked", "served"] as const)("are made once, and called for each request: %s", async (end) => {
    let made = 0;
    let called = 0;
    const counting: Interceptor = (next) => {
      made += 1;
      return (call) => {
        called += 1;
        return next(call);
      };
    };
    await using ends = await startEnds({ [end]: [counting] });
    for (let request = 0; request < 3; request += 1) await collect(ends.client.generate({ count: 1 }));
    expect([made, called]).toEqual([1, 3]);
  });

  test.each(["asked", "served"] as const)("may not call on twice for one request: %s", async (end) => {
    let calls = 0;
    const again: Interceptor = (next) =>
      async function* (call) {
        yield* next(call);
        yield* next(call);
      };
    await using ends = await startEnds({ [end]: [again], handler: async () => (calls += 1) });
    expect(await failureOf(collect(ends.client.generate({ count: 1 })))).toMatchObject({ code: "internal" });
    expect(calls).toBe(1);
  });

  test.each(["asked", "served"] as const)("pass on the call or a copy of it, nothing else: %s", async (end) => {
    const other: Interceptor = (next) => () => next({ request: 1 } as InterceptedCall);
    await using ends = await startEnds({ [end]: [other] });
    expect(await failureOf(collect(ends.client.generate({ count: 1 })))).toMatchObject({ code: "internal" });
  });

  test("see the same call at both ends, with its ids", async () => {
    const calls: InterceptedCall[] = [];
    const watch: Interceptor = (next) => (call) => {
      calls.push(call);
      return next(call);
    };
    await using ends = await startEnds({ all: [watch] });
    const answer = ends.client.generate({ count: 1 }, { xRequestId: "mine", baggage: "tenant=a" });
    await collect(answer);
    const [asked, served] = calls;
    const same = {
      address,
      request: { count: 1 },
      requestId: answer.requestId,
      xRequestId: "mine",
      baggage: "tenant=a",
    };
    expect(asked).toMatchObject({ side: "client", ...same });
    expect(served).toMatchObject({ side: "server", ...same, context: { requestId: answer.requestId, attempt: 0 } });
    expect(served?.trace.traceId).toBe(asked?.trace.traceId);
  });

  test.each(["asked", "served"] as const)(
    "see a request in pieces as they come, and may give others: %s",
    async (end) => {
      const doubled: Interceptor = (next) => (call) => next({ ...call, request: twice(call.request) });
      await using ends = await startEnds({
        [end]: [doubled],
        handler: async (request) => collect(request as unknown as AsyncIterable<number>),
      });
      const pieces = ReadableStream.from([1, 2, 3]) as unknown as Ask;
      expect(await ends.client.call(pieces)).toEqual([2, 4, 6]);
    },
  );

  test("send another baggage, and give the handler another context", async () => {
    const seen: unknown[] = [];
    await using ends = await startEnds({
      asked: [(next) => (call) => next({ ...call, baggage: "tenant=b" })],
      served: [
        (next) => (call) =>
          next(call.side === "server" ? { ...call, context: { ...call.context, xRequestId: "theirs" } } : call),
      ],
      handler: async (_request, { baggage, xRequestId }) => seen.push(baggage, xRequestId),
    });
    await ends.client.call({ count: 1 }, { baggage: "tenant=a" });
    expect(seen).toEqual(["tenant=b", "theirs"]);
  });

  test("write lines with the request's ids", async () => {
    const tell: Interceptor = (next) => (call) => {
      call.log.info({ side: call.side }, "passing");
      return next(call);
    };
    await using ends = await startEnds({ all: [tell] });
    const answer = ends.client.generate({ count: 1 });
    await collect(answer);
    const line = { message: "passing", request_id: answer.requestId, target: "test::echo::generate" };
    expect(ends.lines.filter(({ message }) => message === "passing")).toMatchObject([
      { ...line, side: "client" },
      { ...line, side: "server" },
    ]);
  });
});

test("a contract is held where the caller and the handler stand: interceptors of both ends are between", async () => {
  const contract = defineEndpoint({
    address: "dyn://test.echo.typed",
    request: z.strictObject({ count: z.number() }),
    item: z.number(),
  });
  const memorySpace = createMemorySpace();
  await using server = await createRuntime({ config: { ...config, log: "off" }, memorySpace });
  await using caller = await createRuntime({ config: { ...config, log: "off" }, memorySpace });
  const pack: Interceptor = (next) =>
    async function* (call) {
      for await (const item of next({ ...call, request: { packed: call.request } })) yield Number(item);
    };
  const unpack: Interceptor = (next) =>
    async function* (call) {
      const { packed } = z.object({ packed: z.unknown() }).parse(call.request);
      for await (const item of next({ ...call, request: packed })) yield String(item);
    };
  await server.endpoint(contract).serve(async ({ count: asked }) => asked, { interceptors: [unpack] });
  const client = caller.client(contract, { validate: "both", interceptors: [pack] });
  expect(await client.call({ count: 7 })).toBe(7);
});

describe("interceptors that are none", () => {
  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["a list", [1]],
    ["7", 7],
  ])("that return no items but %s end the request, wherever they stand", async (got, given) => {
    const forgets: Interceptor = (next) => (call) => {
      next(call);
      return given as AsyncIterable<unknown>;
    };
    const around: Interceptor = (next) => (call) => next(call);
    const message = `an interceptor must return the items of an answer, as \`next\` does, got ${got}`;
    for (const interceptors of [
      [forgets, around],
      [around, forgets],
    ]) {
      await using asking = await startEnds({ asked: interceptors });
      expect(await failureOf(asking.client.call({ count: 1 }))).toMatchObject({ code: "internal", message });
      await using serving = await startEnds({ served: interceptors });
      expect(await failureOf(serving.client.call({ count: 1 }))).toMatchObject({ code: "internal" });
      expect(serving.lines.find((line) => line["message"] === "request completed")).toMatchObject({ error: message });
    }
  });

  test.each<[unknown, string]>([
    [7, "interceptors must be a list of functions, got 7"],
    [[() => () => [], 7], "interceptors[1] must be a function, got 7"],
    [[() => 7], "an interceptor must return a function of a call, got 7"],
  ])("are refused: %j", async (given, message) => {
    const interceptors = given as readonly Interceptor[];
    const refusal = expect.objectContaining({ code: "invalid_argument", message });
    await using pair = await startPair();
    expect(() => pair.caller.client(address, { interceptors })).toThrow(refusal);
    await expect(pair.server.endpoint("dyn://a.b.c").serve(async () => 1, { interceptors })).rejects.toEqual(refusal);
    const memorySpace = createMemorySpace();
    const made = createRuntime({ config, memorySpace, interceptors });
    if (!message.includes("return")) await expect(made).rejects.toEqual(refusal);
    else await (await made).close();
  });
});
