// Schemas that take their time: how long each end of a contract waits for them.
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { defineEndpoint, type StandardSchema } from "../../packages/runtime/src/index.ts";
import { failureOf, startPair } from "./peers.ts";

const any = answering((value) => ({ value }));

test("a schema that never answers holds neither its caller nor its place for longer than the caller waits", async () => {
  await using pair = await startPair();
  const never = answering(() => new Promise<never>(() => undefined));
  const requests = defineEndpoint({ address: "dyn://a.b.requests", request: never, item: any });
  const items = defineEndpoint({ address: "dyn://a.b.items", request: any, item: never });
  await using first = await pair.server.endpoint(requests).serve(async () => 1);
  await using second = await pair.server.endpoint(items).serve(async () => 1);
  for (const client of [
    pair.caller.client(requests),
    pair.caller.client(requests, { validate: "requests" }),
    pair.caller.client(items),
  ])
    expect(await failureOf(client.call(1, { timeoutMs: 50 }))).toMatchObject({ code: "deadline_exceeded" });
  await Promise.all([first.close(), second.close()]); // a request that still runs would hold them for a minute
});

test("what a promise of another realm comes to is taken", async () => {
  await using pair = await startPair();
  const elsewhere = answering(runInNewContext("(value) => Promise.resolve({ value: value * 2 })"));
  const contract = defineEndpoint({ address: "dyn://a.b.realm", request: elsewhere, item: elsewhere });
  await pair.server.endpoint(contract).serve(async (value) => value);
  expect(await pair.caller.client(contract).call(2)).toBe(8);
});

function answering(validate: StandardSchema["~standard"]["validate"]): StandardSchema {
  return { "~standard": { version: 1, vendor: "test", validate } };
}
