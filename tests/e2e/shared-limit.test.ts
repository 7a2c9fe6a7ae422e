// One GPU behind two models, asked through a frontend: how many completions the engine makes at a time, and what is seen of the wait.
import { createFrontend } from "@dyn/frontend";
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { expect, test } from "vitest";
import { eventually, type Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";

interface House extends AsyncDisposable {
  ask(model: string, more?: object): Promise<Response>;
  /** Models of the completions that run. */
  readonly running: string[];
  /** The longest that `running` has been. */
  most(): number;
  /** Let the oldest of those that run end. */
  endOne(): Promise<void>;
  readonly lines: Line[];
}

async function startHouse(requests: number): Promise<House> {
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) }).pino;
  const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log });
  const limit = runtime.limit({ requests });
  const [running, ends]: [string[], (() => void)[]] = [[], []];
  let most = 0;
  for (const model of ["small", "large"]) {
    const endpoint = `dyn://gpu.${model}.generate`;
    await serveModel(runtime, { model, endpoint, limit }, async () => {
      running.push(model);
      most = Math.max(most, running.length);
      await new Promise<void>((resolve) => ends.push(resolve));
      running.shift();
      return { text: model };
    });
  }
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  return {
    running,
    most: () => most,
    async endOne() {
      await eventually("one that runs", () => ends.length > 0);
      ends.shift()?.();
    },
    lines,
    ask: (model, more) =>
      fetch(`${frontend.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "x" }], ...more }),
      }),
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await runtime.close();
    },
  };
}

test("a request for three completions takes three places, of those that the models share", async () => {
  await using house = await startHouse(4);
  const three = house.ask("small", { n: 3 });
  await eventually("three", () => house.running.length === 3);
  const others = [house.ask("large"), house.ask("large")];
  await eventually("all places being taken", () => house.running.join() === "small,small,small,large");
  for (let left = 5; left > 0; left -= 1) await house.endOne();
  const answer = (await (await three).json()) as { choices: unknown[] };
  expect(answer.choices).toHaveLength(3);
  for (const other of others) expect((await other).status).toBe(200);
  expect(house.most()).toBe(4);
});

test("the frontend's line says how long a request waited at the worker, and behind how many", async () => {
  await using house = await startHouse(1);
  const first = house.ask("small");
  await eventually("the first", () => house.running.length === 1);
  const second = house.ask("large");
  await eventually("the second at the worker", () => house.lines.filter(isReceived).length === 2);
  await house.endOne();
  await eventually("the second", () => house.running.join() === "large");
  await house.endOne();
  await Promise.all([first, second]);
  const line = await eventually("its line", () =>
    house.lines.find((each) => isCompleted(each) && each["model"] === "large"),
  );
  expect(line).toMatchObject({ "facts.queued_ms": expect.any(Number) as number, "facts.queue_position": 1 });
  expect(line["facts.queued_ms"]).toBeGreaterThan(0);
});

function isReceived({ message, span_name }: Line): boolean {
  return message === "request received" && span_name === "handle_payload";
}

function isCompleted({ message, span_name }: Line): boolean {
  return message === "request completed" && span_name === "http-request";
}
