// Which workers are asked for the tokens of a prompt, how long, and what becomes of it when they leave, fail or lie.
import { expect, test } from "vitest";
import { eventually } from "../support/cluster.ts";
import { bodyOf, countPath, letters, openHouse, post, templated } from "./counting-house.ts";

test("another worker is asked if one cannot count, and only those that count", async () => {
  await using own = await openHouse();
  const asked: string[] = [];
  await own.serve({ model: "letters" });
  for (const name of ["bad", "good"])
    await own.serve({
      model: "letters",
      countTokens(text) {
        asked.push(name);
        if (name === "bad") throw new Error("no tokenizer");
        return text.length;
      },
    });
  for (let times = 0; times < 4; times += 1)
    expect(await bodyOf(await post(own, countPath, {}))).toEqual({ status: 200, input_tokens: 3 });
  expect(new Set(asked)).toEqual(new Set(["bad", "good"]));
});

test("when the last worker that counts has left, words are counted", async () => {
  await using own = await openHouse();
  await own.serve({ model: "letters" });
  const counting = await own.serve({ model: "letters", ...letters });
  await eventually("the count of the engine", async () => {
    const counted = (await bodyOf(await post(own, countPath, {}))) as { input_tokens: number };
    return counted.input_tokens === templated;
  });
  await counting.close();
  await eventually("the count of words", async () => {
    const counted = (await bodyOf(await post(own, countPath, {}))) as { input_tokens?: number };
    return counted.input_tokens === 1;
  });
});

test("a count ends with the patience of its client, or when the client leaves", async () => {
  await using own = await openHouse();
  const signals: AbortSignal[] = [];
  await own.serve({
    model: "letters",
    countTokens: (_text, _request, { signal }) => {
      signals.push(signal);
      return new Promise<number>(() => undefined);
    },
  });
  const late = await post(
    own,
    countPath,
    {},
    { headers: { "content-type": "application/json", "x-request-timeout-ms": "50" } },
  );
  expect(await bodyOf(late)).toMatchObject({ status: 504, error: { type: "timeout_error" } });
  await eventually("the worker hearing of it", () => signals[0]?.aborted === true);
  const aborter = new AbortController();
  const left = post(own, countPath, {}, { signal: aborter.signal });
  await eventually("the second", () => signals.length === 2);
  aborter.abort();
  await expect(left).rejects.toThrow(/abort/i);
  await eventually("the worker hearing of that", () => signals[1]?.aborted === true);
});

test("a count waits for no place of the engine", async () => {
  await using own = await openHouse();
  const { promise, resolve } = Promise.withResolvers<void>();
  let running = 0;
  await own.serve({ model: "letters", requestLimit: 1, ...letters }, async () => {
    running += 1;
    await promise;
    return { text: "one" };
  });
  const answer = post(own, "/v1/messages", {});
  await eventually("the engine being busy", () => running === 1);
  expect(await bodyOf(await post(own, countPath, {}))).toEqual({ status: 200, input_tokens: templated });
  resolve();
  expect((await answer).status).toBe(200);
});

test("a worker whose count is none is a fault of that worker", async () => {
  await using own = await openHouse();
  const worker = await own.serve({ model: "letters" });
  const odd = await worker
    .endpoint("dyn://test.odd.generate-count_tokens")
    .serve(async () => ({ promptTokens: "many" }));
  await worker.discovery.publish({
    type: "Model",
    namespace: "test",
    component: "odd",
    endpoint: "generate",
    instance_id: BigInt(odd.instanceId),
    card_json: { display_name: "odd", slug: "odd", model_type: "Chat", model_input: "Text", dyn_count_tokens: true },
  });
  await eventually("the answer", async () => (await post(own, countPath, { model: "odd" })).status === 500);
  expect(await bodyOf(await post(own, countPath, { model: "odd" }))).toMatchObject({ error: { type: "api_error" } });
});
