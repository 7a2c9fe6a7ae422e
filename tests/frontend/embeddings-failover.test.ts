// Embeddings whose worker fails: another one is asked for all of them, and the client does not notice.
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveEmbeddings, type Embed } from "@dyn/runtime/llm";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { eventually } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;

/** What OpenAI's client gets for `input` of a model of two workers, each of which runs what `toEmbed` makes. */
async function askTwo(input: string[], toEmbed: (worker: Runtime) => Embed): Promise<number[][]> {
  const memorySpace = createMemorySpace();
  const runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [runtime, ...workers] = runtimes as [Runtime, Runtime, Runtime];
  const servings = await Promise.all(
    workers.map((worker) => serveEmbeddings(worker, { model: "two" }, toEmbed(worker))),
  );
  try {
    await using frontend = await createFrontend({ runtime, httpPort: 0 });
    await eventually("both are known", async () => {
      const health = await (await fetch(`${frontend.url}/health`)).text();
      return servings.every(({ instanceId }) => health.includes(instanceId));
    });
    const client = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
    const { data } = await client.embeddings.create({ model: "two", input, encoding_format: "float" });
    return data.map(({ embedding }) => embedding);
  } finally {
    await Promise.all(runtimes.map((each) => each.close()));
  }
}

test("one that cannot", async () => {
  const attempts: number[] = [];
  const vectors = await askTwo(["x"], () => ({ inputs }, { attempt }) => {
    attempts.push(attempt);
    if (attempt === 0) throw new RuntimeError("unavailable", "not now");
    return { vectors: inputs.map(() => [1]) };
  });
  expect([vectors, attempts]).toEqual([[[1]], [0, 1]]);
});

test("one that dies in the middle", async () => {
  const attempts: number[] = [];
  const input = Array.from({ length: 500 }, (_, index) => `text ${index}`);
  const vectors = await askTwo(input, (worker) => ({ inputs }, { attempt }) => {
    attempts.push(attempt);
    const made = inputs.map((_, index) => new Float32Array(512).fill(index));
    return { vectors: attempt === 0 ? [...made.slice(0, -1), toDeadly(worker)] : made };
  });
  expect(vectors.map((vector) => vector[511])).toEqual(input.map((_, index) => index));
  expect(attempts).toEqual([0, 1]);
});

/** A vector that ends its worker when it is written, after most of those before it have been sent. */
function toDeadly(worker: Runtime): number[] {
  return new Proxy<number[]>([], {
    get(target, key) {
      if (key === "length") void worker.kill();
      return key === "length" ? 512 : Reflect.get(target, key);
    },
  });
}
