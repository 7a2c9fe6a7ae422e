// What must compile does, and what must not does not: `tsc` finds each line below `@ts-expect-error` wrong, or fails. Nothing here runs.
import { createRuntime, defineEndpoint, type Client, type Interceptor } from "@dyn/runtime";
import * as valibot from "valibot";
import { z } from "zod";

await using runtime = await createRuntime();

const order = defineEndpoint({
  address: "dyn://shop.orders.place",
  request: z.object({ name: z.string(), count: z.string().transform(Number) }),
  item: z.iso.datetime().transform((text) => new Date(text)),
});
const page = defineEndpoint({
  address: "dyn://shop.pages.list",
  request: valibot.object({ from: valibot.optional(valibot.number(), 0) }),
  item: valibot.object({ title: valibot.string() }),
});

// A caller gives what goes into the schema of requests, and gets what comes out of that of items.
const orders = runtime.client(order, { validate: "both" });
const date: Date = await orders.call({ name: "tea", count: "2" });
for await (const each of orders.generate({ name: "tea", count: "2" })) date.setTime(each.getTime());
const client: Client<{ name: string; count: string }, Date> = orders;
const { title } = await runtime.client(page).call({});
title.trim();

// @ts-expect-error a field has another type
await orders.call({ name: "tea", count: 2 });
// @ts-expect-error a field is missing
await orders.call({ name: "tea" });
// @ts-expect-error a field is none of the schema's
orders.generate({ name: "tea", count: "2", size: 3 });
// @ts-expect-error the item is what comes out of the schema
const text: string = await client.call({ name: "tea", count: "2" });
// @ts-expect-error it is no client of the other contract
const pages: Client<{ name: string; count: string }, Date> = runtime.client(page);
// @ts-expect-error the default is filled in at the worker, and its type is still a number's
await runtime.client(page).call({ from: "1" });

// A handler gets what comes out of the schema of requests, and gives what goes into that of items.
const endpoint = runtime.endpoint(order);
await endpoint.serve(async ({ name, count }) => `${name}: ${count.toFixed(2)}`);
await endpoint.serve(
  async function* ({ count }, { signal }) {
    signal.throwIfAborted();
    yield "x".repeat(count);
  },
  { countTokens: (sent) => sent.getTime() },
);
await runtime.endpoint(page).serve(async ({ from }) => ({ title: from.toFixed(0) }));

// @ts-expect-error the item is a text before the schema has made a date of it
await endpoint.serve(async () => new Date());
await endpoint.serve(
  // @ts-expect-error a wrong item is yielded
  async function* () {
    yield 7;
  },
);
// @ts-expect-error the request has no such field
await endpoint.serve(async ({ size }) => String(size));
// @ts-expect-error the count is a number by now
await endpoint.serve(async ({ count }) => count.trim());
// @ts-expect-error a handler of the other contract
await endpoint.serve(async ({ from }: { from: number }) => from.toFixed(0));
await endpoint.serve(
  // @ts-expect-error what a generator returns would be lost
  async function* () {
    yield "x";
    return "y";
  },
);

// Options that are none, or of something else.
// @ts-expect-error no such option
runtime.client(order, { validates: "both" });
// @ts-expect-error no such check
runtime.client(order, { validate: "item" });
// @ts-expect-error an address has nothing to be held to
runtime.client("dyn://shop.orders.place", { validate: "both" });
// @ts-expect-error no such option
await endpoint.serve(async () => "x", { interceptor: [] });
// @ts-expect-error no such option
await createRuntime({ interceptor: [] });

// What is no contract.
// @ts-expect-error no schema of items
defineEndpoint({ address: "dyn://a.b.c", request: z.string() });
// @ts-expect-error no schema
defineEndpoint({ address: "dyn://a.b.c", request: z.string(), item: "string" });
// @ts-expect-error no part of a contract
defineEndpoint({ address: "dyn://a.b.c", request: z.string(), item: z.string(), items: z.string() });
// @ts-expect-error made by `defineEndpoint`, and then left alone
order.address = "dyn://a.b.d";

// Without a contract the types are the program's claims.
const plain = runtime.client<{ count: number }, string>("dyn://a.b.c");
// @ts-expect-error another request than was claimed
await plain.call({ count: "1" });
await runtime.endpoint("dyn://a.b.c").serve(async ({ count }: { count: number }) => count);
// @ts-expect-error an answer of one item is a promise of it
await runtime.endpoint("dyn://a.b.c").serve(() => 7);

// Interceptors are of one type, whichever end they stand at.
const good: Interceptor = (next) => (call) => next({ ...call, request: 1 });
const both = [good];
runtime.client(order, { interceptors: both });
await endpoint.serve(async () => "x", { interceptors: both });
// @ts-expect-error a call at a client has no context
const careless: Interceptor = (next) => (call) => (call.context.log.info("x"), next(call));
// @ts-expect-error it gives no items
const single: Interceptor = () => async () => 7;
// @ts-expect-error a request may be anything
const trusting: Interceptor = (next) => (call) => (call.request.name === "tea" ? next(call) : next(call));
// @ts-expect-error the call is not changed, but copied
const writing: Interceptor = (next) => (call) => ((call.request = 1), next(call));

export const unused = [text, pages, careless, single, trusting, writing];
