// What a handler is given of a request.
import { expect, test } from "vitest";
import { collect, startPair } from "./peers.ts";

test("a copy of a context has its log, too", async () => {
  await using pair = await startPair();
  await collect(pair.client.generate({ count: 1 }));
  const [context] = pair.contexts;
  expect({ ...context }.log).toBe(context?.log);
});

// A getter of its own gives an object a hidden class of its own, which V8 keeps until its next full collection, and with it the whole request.
test("contexts share the getter of their log, so that a request is forgotten once it is over", async () => {
  await using pair = await startPair();
  for (let index = 0; index < 2; index += 1) await collect(pair.client.generate({ count: 1 }));
  const getters = pair.contexts.map((context): unknown =>
    Reflect.get(Object.getOwnPropertyDescriptor(context, "log") ?? {}, "get"),
  );
  expect(getters).toHaveLength(2);
  expect(getters[0]).toBeTypeOf("function");
  expect(getters[1]).toBe(getters[0]);
});
