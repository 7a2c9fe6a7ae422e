// Tokens of a prompt as the engine of a model counts them: `count_tokens`, `usage` and `message_start`, through a frontend.
import { RuntimeError } from "@dyn/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { eventually, type Line } from "../support/cluster.ts";
import { bodyOf, countPath, letters, openHouse, post, templated, type House } from "./counting-house.ts";

// By what the user says.
const failing: Readonly<Record<string, () => number | Promise<number>>> = {
  throws: () => {
    throw new Error("no tokenizer");
  },
  rejects: () => Promise.reject(new Error("no tokenizer")),
  lies: () => -1.5,
  refuses: () => {
    throw new RuntimeError("invalid_argument", "roles must alternate");
  },
};

interface Event {
  readonly type?: string;
  readonly usage?: Readonly<Record<string, number>> | null;
  readonly message?: { readonly usage: Readonly<Record<string, number>> };
}

async function eventsOf(response: Response): Promise<Event[]> {
  const data = (await response.text()).split("\n").filter((line) => line.startsWith("data: {"));
  return data.map((line) => JSON.parse(line.slice("data: ".length)) as Event);
}

let house: House;
beforeAll(async () => {
  house = await openHouse();
  await house.serve({ model: "letters", ...letters });
  await house.serve({ model: "plain", endpoint: "dyn://test.plain.generate" });
  await house.serve({
    model: "failing",
    endpoint: "dyn://test.failing.generate",
    countTokens: (text) => failing[text]?.() ?? text.length,
  });
});
afterAll(() => house[Symbol.asyncDispose]());

describe("a model that counts", () => {
  test("is asked by count_tokens, with the system text and the tools", async () => {
    expect(await bodyOf(await post(house, countPath, {}))).toEqual({ status: 200, input_tokens: templated });
    const schema = { type: "object", maximum: 12_345 };
    const tool = { name: "look", input_schema: schema };
    const counted = await post(house, countPath, { system: "be kind", tools: [tool] });
    const text = `<system>be kind<user>abc${JSON.stringify({ name: "look", kind: "function", parameters: schema })}`;
    expect(await bodyOf(counted)).toEqual({ status: 200, input_tokens: text.length });
  });

  test.each(["/v1/chat/completions", "/v1/messages"])("has its own count in the usage of %s", async (path) => {
    const { usage } = (await bodyOf(await post(house, path, {}))) as { usage: Record<string, number> };
    expect(usage["prompt_tokens"] ?? usage["input_tokens"]).toBe(templated);
    expect(usage["completion_tokens"] ?? usage["output_tokens"]).toBe(3);
  });

  test("has it in the usage of a stream", async () => {
    const asked = { stream: true, stream_options: { include_usage: true } };
    const events = await eventsOf(await post(house, "/v1/chat/completions", asked));
    expect(events.findLast(({ usage }) => usage)?.usage).toMatchObject({
      prompt_tokens: templated,
      completion_tokens: 3,
    });
  });

  test("has it in message_start", async () => {
    const [start, ...events] = await eventsOf(await post(house, "/v1/messages", { stream: true }));
    expect(start).toMatchObject({ type: "message_start", message: { usage: { input_tokens: templated } } });
    expect(events.findLast(({ usage }) => usage)?.usage).toMatchObject({ input_tokens: templated, output_tokens: 3 });
  });

  test("counts a prompt once, however many completions it gets, and each of several prompts as it is", async () => {
    const several = await post(house, "/v1/chat/completions", { n: 3 });
    expect(await several.json()).toMatchObject({ usage: { prompt_tokens: templated, completion_tokens: 9 } });
    const prompts = await post(house, "/v1/completions", { prompt: ["ab", "cde"], n: 2 });
    expect(await prompts.json()).toMatchObject({ usage: { prompt_tokens: 5, completion_tokens: 12 } });
    const ids = await post(house, "/v1/completions", { prompt: [1, 2, 3, 4] });
    expect(await ids.json()).toMatchObject({ usage: { prompt_tokens: 4 } });
  });

  test("has the word of its engine where that says something else", async () => {
    expect(await (await post(house, "/v1/messages", { said: "own" })).json()).toMatchObject({
      usage: { input_tokens: 77 },
    });
  });

  test("refuses before anything is sent what its engine refuses", async () => {
    const response = await post(house, "/v1/messages", { said: "too long", stream: true });
    expect(await bodyOf(response)).toMatchObject({ status: 400, error: { message: "the prompt is too long" } });
  });

  test("has it also where no completion is wanted", async () => {
    const nothing = await post(house, "/v1/completions", { prompt: "abcd", max_tokens: 0 });
    expect(await nothing.json()).toMatchObject({ usage: { prompt_tokens: 4, completion_tokens: 0 } });
  });
});

describe("a count by a worker", () => {
  test("has the lines of both ends and a tree, with no problem in it", async () => {
    house.lines.length = 0;
    const id = (await post(house, countPath, {})).headers.get("request-id") ?? "";
    const own = await eventually("its last line", () => {
      const found = house.lines.filter((line) => line["request_id"] === id);
      return found.some(isLast) && found;
    });
    expect(own.find(isLast)).toMatchObject({
      endpoint: "anthropic_count_tokens",
      model: "letters",
      status: "success",
      attempts: 1,
      input_tokens: templated,
    });
    const lines = own.flatMap((line, index) => parseLine(JSON.stringify(line), `log:${index + 1}`) ?? []);
    expect(rebuildTrees(lines, new Set([id])).trees).toEqual([expect.objectContaining({ problems: [] })]);
    const tree = await fetch(`${house.frontend.url}/v1/requests/${id}`);
    expect(await tree.json()).toMatchObject({ request: { uri: countPath, status: "success" } });
  });

  test("is none of the requests that the frontend's metrics count", async () => {
    await post(house, countPath, {});
    const page = await (await fetch(`${house.frontend.url}/metrics`)).text();
    expect(page).not.toContain("anthropic_count_tokens");
  });

  test("says in its lines what it failed with", async () => {
    house.lines.length = 0;
    await post(house, countPath, { model: "failing", said: "throws" });
    const line = await eventually("its last line", () => house.lines.find(isLast));
    expect(line).toMatchObject({ level: "ERROR", error_type: "unavailable", model: "failing" });
  });
});

function isLast({ message, span_name }: Line): boolean {
  return message === "request completed" && span_name === "http-request";
}

describe("a model that does not count", () => {
  test("has words counted, by count_tokens and in usage", async () => {
    const asked = { model: "plain", said: "two words" };
    expect(await bodyOf(await post(house, countPath, asked))).toEqual({ status: 200, input_tokens: 2 });
    expect(await (await post(house, "/v1/messages", asked)).json()).toMatchObject({ usage: { input_tokens: 2 } });
  });
});

describe("a model whose count fails", () => {
  test.each(["throws", "rejects", "lies"])(
    "answers all the same, with words counted, and says so in the log: %s",
    async (said) => {
      house.lines.length = 0;
      const answer = await post(house, "/v1/messages", { model: "failing", said });
      expect(await answer.json()).toMatchObject({ usage: { input_tokens: 1, output_tokens: 3 } });
      expect(house.lines.filter(({ level }) => level === "WARN")).toEqual([
        expect.objectContaining({
          message: "the engine could not count a prompt, usage has the runtime's count",
          target: "dyn_runtime::llm",
          model: "failing",
          request_id: answer.headers.get("request-id"),
        }),
      ]);
    },
  );

  test.each(["throws", "rejects", "lies"])(
    "says at count_tokens that it could not, and why in the log: %s",
    async (said) => {
      house.lines.length = 0;
      const answer = await post(house, countPath, { model: "failing", said });
      expect(await bodyOf(answer)).toMatchObject({
        status: 503,
        type: "error",
        error: { type: "overloaded_error", message: "the model could not count the tokens of the prompt" },
      });
      const reason = said === "lies" ? "countTokens must give a whole number from 0, got -1.5" : "no tokenizer";
      const line = house.lines.find(
        ({ message, span_name }) => message === "request completed" && span_name === "handle_payload",
      );
      expect(line).toMatchObject({ level: "ERROR", request_id: answer.headers.get("request-id") });
      expect(JSON.stringify(line)).toContain(reason);
    },
  );

  test("hands on what it says of the request in a code of its own", async () => {
    const answer = await post(house, countPath, { model: "failing", said: "refuses" });
    expect(await bodyOf(answer)).toMatchObject({ status: 400, error: { message: "roles must alternate" } });
  });
});
