// Embeddings that a server behind a worker makes.
import { expect, test } from "vitest";
import { sendJson } from "./scripted-server.ts";
import { useSetup } from "./setup.ts";

const current = useSetup();

test("texts and token ids go to /embeddings, and the vectors come back in the order of their texts", async () => {
  await current().startWorker({ modelName: ["up=far"] });
  await current().whenListed("up");
  current().server.answer = (response) => {
    const data = [
      { index: 1, embedding: [0.5, 0.25] },
      { index: 0, embedding: [1, -1] },
    ];
    sendJson(response, 200, { object: "list", data, usage: { prompt_tokens: 5, total_tokens: 5 } });
  };
  const { openai, server } = current();
  const answer = await openai.embeddings.create({ model: "up", input: ["a", "b"], dimensions: 2 });
  expect(answer.data.map(({ embedding }) => embedding)).toEqual([
    [1, -1],
    [0.5, 0.25],
  ]);
  expect(answer.usage).toEqual({ prompt_tokens: 5, total_tokens: 5 });
  await openai.embeddings.create({ model: "up", input: [[1, 2], [3]] });
  expect(server.heard.map(({ path, body }) => [path, body])).toEqual([
    ["/v1/embeddings", { model: "far", input: ["a", "b"], dimensions: 2 }],
    ["/v1/embeddings", { model: "far", input: [[1, 2], [3]] }],
  ]);
});

test.each([
  [404, "404 page not found", 501],
  [400, { error: { message: "too long" } }, 400],
  [429, { error: { message: "slow down" } }, 429],
  [200, { error: { message: "busy", code: 429 } }, 429],
  [200, { data: [] }, 500],
  [200, { data: [{ embedding: "AAAA" }] }, 500],
  [200, { data: [{ index: 7, embedding: [1] }] }, 500],
  [200, "no JSON", 500],
])("%i %j is a %i for the client", async (status, body, expected) => {
  await current().startWorker();
  await current().whenListed("up");
  current().server.answer = (response) => sendJson(response, status, body);
  const { openai } = current();
  await expect(openai.embeddings.create({ model: "up", input: "a" })).rejects.toMatchObject({ status: expected });
});
