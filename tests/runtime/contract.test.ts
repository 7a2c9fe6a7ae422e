// A contract that both ends import: its types, and what each end holds requests and items to.
import * as valibot from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  createMemorySpace,
  createRuntime,
  defineEndpoint,
  type ContractClientOptions,
  type Handler,
  type Runtime,
  type StandardSchema,
} from "../../packages/runtime/src/index.ts";
import type { Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";
import { collect, config, failureOf } from "./peers.ts";

const order = defineEndpoint({
  address: "dyn://shop.orders.place",
  request: z.object({
    items: z.array(z.object({ name: z.string(), count: z.coerce.number<string | number>().max(9).default(1) })),
  }),
  item: z.object({ total: z.number().min(0) }),
});

interface Ends extends AsyncDisposable {
  readonly server: Runtime;
  readonly caller: Runtime;
  readonly lines: Line[];
}

async function startEnds(): Promise<Ends> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const { pino: log } = createLogger({ sink: (record) => lines.push(record) });
  const server = await createRuntime({ config, memorySpace, log });
  const caller = await createRuntime({ config, memorySpace, log });
  return {
    server,
    caller,
    lines,
    async [Symbol.asyncDispose]() {
      await caller.close();
      await server.close();
    },
  };
}

describe("an endpoint of a contract", () => {
  test("gives its handler what the schema makes of a request", async () => {
    await using ends = await startEnds();
    const seen: unknown[] = [];
    await ends.server.endpoint(order).serve(async ({ items }) => {
      seen.push(items);
      return { total: items.reduce((sum, { count }) => sum + count, 0) };
    });
    const client = ends.caller.client(order);
    expect(await client.call({ items: [{ name: "tea", count: "2" }, { name: "cup" }] })).toEqual({ total: 3 });
    expect(seen).toEqual([
      [
        { name: "tea", count: 2 },
        { name: "cup", count: 1 },
      ],
    ]);
  });

  test("refuses a bad request before its handler is called, and names the place and what the schema said", async () => {
    await using ends = await startEnds();
    let calls = 0;
    await ends.server.endpoint(order).serve(async () => ({ total: (calls += 1) }));
    const client = ends.caller.client<unknown, unknown>(order.address); // of a program that has no contract
    const bad = { items: [{ name: "tea" }, { name: "cup" }, { name: 7 }] };
    expect(await failureOf(client.call(bad))).toMatchObject({
      code: "invalid_argument",
      param: "items[2].name",
      message:
        "the request is not as its contract says: items[2].name: Invalid input: expected string, received number",
    });
    const whole = await failureOf(client.call(7));
    expect(whole).toMatchObject({
      code: "invalid_argument",
      message: "the request is not as its contract says: Invalid input: expected object, received number",
    });
    expect(whole.param).toBeUndefined();
    expect(calls).toBe(0);
  });

  test("says of many faults the first three, and of a long one its beginning", async () => {
    await using ends = await startEnds();
    await ends.server.endpoint(order).serve(async () => ({ total: 1 }));
    const client = ends.caller.client<unknown, unknown>(order.address);
    const { message } = await failureOf(client.call({ items: Array.from({ length: 500 }, () => ({ name: 7 })) }));
    expect(message.split("; ")).toHaveLength(4);
    expect(message).toMatch(/; items\[2\]\.name: .*; and 497 more$/);
    const three = await failureOf(client.call({ items: [{ name: 7 }, { name: 7 }, { name: 7 }] }));
    expect(three.message.split("; ")).toHaveLength(3);
    const said = fault([{ message: "x".repeat(5_000), path: ["k".repeat(5_000)] }]);
    const long = defineEndpoint({ address: "dyn://shop.orders.long", request: said, item: said });
    await ends.server.endpoint(long).serve(async () => 1);
    const failure = await failureOf(ends.caller.client(long).call(1));
    expect(failure.message.length).toBeLessThan(500);
    expect(failure.param).toHaveLength(256);
  });

  test("ends a request whose handler gives a bad item, which its caller reads as a fault of the worker", async () => {
    await using ends = await startEnds();
    await ends.server.endpoint(order).serve(async function* () {
      yield { total: 1 };
      yield { total: -1 };
    });
    const answer = ends.caller.client(order).generate({ items: [] });
    const got: unknown[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const item of answer) got.push(item);
      })(),
    );
    expect(failure).toMatchObject({ code: "internal", message: "the worker failed" });
    expect(got).toEqual([{ total: 1 }]);
    expect(ends.lines.find(({ message }) => message === "request completed")).toMatchObject({
      error: "item 1 of the handler is not as its contract says: total: Too small: expected number to be >=0",
    });
  });

  test("sends what the schema makes of an item", async () => {
    await using ends = await startEnds();
    const dated = defineEndpoint({
      address: "dyn://shop.orders.dated",
      request: z.null(),
      item: z.iso.datetime().transform((text) => new Date(text)),
    });
    await ends.server.endpoint(dated).serve(async () => "2026-01-02T03:04:05Z");
    const date: Date = await ends.caller.client(dated).call(null);
    expect(date).toEqual(new Date("2026-01-02T03:04:05Z"));
  });

  test("waits for schemas that take their time, of requests and of items", async () => {
    await using ends = await startEnds();
    const later = z.number().refine(async (value) => value > 0, "must be above 0");
    const slow = defineEndpoint({ address: "dyn://shop.orders.slow", request: later, item: later });
    await ends.server.endpoint(slow).serve(async (request) => request - 5);
    const client = ends.caller.client(slow);
    expect(await client.call(7)).toBe(2);
    expect(await failureOf(client.call(-1))).toMatchObject({ message: expect.stringContaining("must be above 0") });
    expect(await failureOf(client.call(5))).toMatchObject({ code: "internal" });
  });

  test("takes schemas of any library that speaks Standard Schema", async () => {
    await using ends = await startEnds();
    const contract = defineEndpoint({
      address: "dyn://shop.orders.valibot",
      request: valibot.object({ list: valibot.array(valibot.object({ name: valibot.string() })) }),
      item: valibot.number(),
    });
    await ends.server.endpoint(contract).serve(async ({ list }) => list.length);
    const client = ends.caller.client<unknown, unknown>(contract.address);
    expect(await client.call({ list: [{ name: "a" }] })).toBe(1);
    expect(await failureOf(client.call({ list: [{ name: 1 }] }))).toMatchObject({ param: "list[0].name" });
  });

  test("may have requests in pieces, which its handler looks at", async () => {
    await using ends = await startEnds();
    const isIterable = (value: unknown): boolean => Object(value) === value && Symbol.asyncIterator in Object(value);
    const contract = defineEndpoint({
      address: "dyn://shop.orders.upload",
      request: z.custom<AsyncIterable<Uint8Array>>(isIterable, "expected pieces"),
      item: z.object({ bytes: z.number() }),
    });
    await ends.server.endpoint(contract).serve(async (pieces) => {
      let bytes = 0;
      for await (const piece of pieces) bytes += piece.length;
      return { bytes };
    });
    const client = ends.caller.client(contract, { validate: "both" });
    expect(await client.call(ReadableStream.from([Buffer.from("ab"), Buffer.from("c")]))).toEqual({ bytes: 3 });
    const whole = ends.caller.client<unknown, unknown>(contract.address).call({ bytes: 3 });
    expect(await failureOf(whole)).toMatchObject({ message: expect.stringContaining("expected pieces") });
  });

  test("whose schema throws fails its requests as the worker's fault", async () => {
    await using ends = await startEnds();
    const broken = fault(undefined);
    const contract = defineEndpoint({ address: "dyn://shop.orders.broken", request: broken, item: broken });
    await ends.server.endpoint(contract).serve(async () => 1);
    expect(await failureOf(ends.caller.client(contract).call(1))).toMatchObject({ code: "internal" });
  });

  test("still tells of a generator that returns a value", async () => {
    await using ends = await startEnds();
    const any = defineEndpoint({ address: "dyn://shop.orders.any", request: z.any(), item: z.any() });
    await ends.server.endpoint(any).serve(async function* () {
      yield 1;
      return 2;
    } as unknown as Handler<unknown, unknown>);
    expect(await failureOf(collect(ends.caller.client(any).generate(1)))).toMatchObject({ code: "internal" });
  });
});

describe("a client of a contract", () => {
  const options = (validate: unknown): ContractClientOptions => ({ validate }) as ContractClientOptions;

  test("that validates requests refuses a bad one, and sends nothing", async () => {
    await using ends = await startEnds();
    await ends.server.endpoint(order).serve(async () => ({ total: 1 }));
    for (const validate of ["requests", "both"] as const) {
      const client = ends.caller.client(order, { validate });
      const answer = client.generate(JSON.parse('{ "items": [{ "name": 7 }] }'));
      expect(await failureOf(collect(answer))).toMatchObject({ code: "invalid_argument", param: "items[0].name" });
      expect(answer.attempts).toBe(0);
    }
  });

  test("sends a request as it was given, because the worker's schema is to see it", async () => {
    await using ends = await startEnds();
    const seen: unknown[] = [];
    await ends.server.endpoint(order.address).serve(async (request) => {
      seen.push(request);
      return { total: 1 };
    });
    const client = ends.caller.client(order, { validate: "both" });
    expect(await client.call({ items: [{ name: "tea", count: "2" }] })).toEqual({ total: 1 });
    expect(seen).toEqual([{ items: [{ name: "tea", count: "2" }] }]);
  });

  test("that validates items says which is bad, and leaves the answer", async () => {
    await using ends = await startEnds();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    await ends.server.endpoint(order.address).serve(async function* (_: unknown, { signal }) {
      signal.addEventListener("abort", () => leave());
      yield { total: 1 };
      yield { total: "many" };
      await left;
    });
    const client = ends.caller.client(order, { validate: "items" });
    expect(await failureOf(collect(client.generate({ items: [] })))).toMatchObject({
      code: "protocol",
      message:
        "item 1 of the answer is not as its contract says: total: Invalid input: expected number, received string",
    });
    await left;
  });

  test("looks at nothing by itself unless it is asked to", async () => {
    await using ends = await startEnds();
    await ends.server.endpoint(order.address).serve(async () => ({ total: "many" }));
    expect(await ends.caller.client(order).call({ items: [] })).toEqual({ total: "many" });
  });

  test("refuses checks that are none, and those of an address", async () => {
    await using ends = await startEnds();
    expect(() => ends.caller.client(order, options("item"))).toThrow(
      'validate must be requests, items, both or false, got "item"',
    );
    expect(() => ends.caller.client(order.address, options("both"))).toThrow(
      "validate needs a contract of `defineEndpoint`, and the client has an address",
    );
  });
});

describe("defineEndpoint", () => {
  test("refuses a malformed address, what is no schema, and what is no part of a contract", () => {
    const define = (more: object) => () => defineEndpoint({ ...order, ...more });
    expect(define({ address: "shop.orders" })).toThrow('"shop.orders" is no endpoint');
    expect(define({ request: { parse: () => 1 } })).toThrow(
      "request must be a schema that speaks Standard Schema 1, as those of zod, valibot and arktype do, got a value of type object",
    );
    expect(define({ item: undefined })).toThrow("item must be a schema that speaks Standard Schema 1");
    expect(define({ items: z.string() })).toThrow("items is no option");
  });

  test("is what a plain object goes through, and neither is refused", async () => {
    await using ends = await startEnds();
    expect(() => ends.caller.client(JSON.parse('{ "address": "dyn://a.b.c" }'))).toThrow("request must be a schema");
    expect(() => ends.server.endpoint(JSON.parse("7"))).toThrow("7 is no endpoint: expected dyn://");
    expect(() => ends.server.endpoint(JSON.parse("null"))).toThrow("null is no endpoint: expected dyn://");
  });

  test("refuses a handler that is none", async () => {
    await using ends = await startEnds();
    const serving = ends.server.endpoint(order).serve(JSON.parse("7"));
    await expect(serving).rejects.toThrow("the handler must be a function, got 7");
  });
});

/** A schema that always says so, or throws. */
function fault(issues: readonly { message: string; path?: readonly string[] }[] | undefined): StandardSchema<number> {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => {
        if (!issues) throw new Error("broken schema");
        return { issues };
      },
    },
  };
}
