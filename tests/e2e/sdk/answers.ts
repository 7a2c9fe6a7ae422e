/** Answers as a client library reads them: texts, limits, usage, reasons, ids. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { eventually, type Line } from "../../support/cluster.ts";
import type { Answer, Ask, SdkClient } from "./client.ts";
import type { SdkFixture } from "./fixture.ts";

/** The client's own words. */
const words = {
  openai: { stop: "stop", length: "length", stopText: "stop" },
  anthropic: { stop: "end_turn", length: "max_tokens", stopText: "stop_sequence" },
};

function both(client: SdkClient, ask: Ask): Promise<Answer[]> {
  return Promise.all([client.complete(ask), client.stream(ask)]);
}

/** Tests for each of `names`, on the fixture that is open when they run. */
export function describeAnswers<Name extends string>(names: readonly Name[], fixture: () => SdkFixture<Name>): void {
  function completionOf(requestId: unknown): Promise<Line> {
    const { frontend } = fixture().cluster;
    return eventually(`the completion of ${String(requestId)}`, () =>
      frontend.lines().find((line) => line["request_id"] === requestId && line["message"] === "request completed"),
    );
  }

  describe.each(names)("answers, %s", (name) => {
    const client = (): SdkClient => fixture().client(name);

    test("are the same text whole and streamed, with usage, reason and our request id", async () => {
      const prompt = 'é 😀 "quoted"\n\ttab \u2028 data: [DONE]\r\n\r\nevent: error end';
      const pieces: string[] = [];
      const whole = await client().complete({ prompt });
      const streamed = await client().stream({ prompt }, (text) => pieces.push(text));
      expect(pieces.join("")).toBe(prompt);
      for (const answer of [whole, streamed]) {
        expect(answer).toEqual({
          text: prompt,
          reason: words[client().api].stop,
          inputTokens: 9,
          outputTokens: 9,
          requestId: answer.requestId,
        });
        expect(await completionOf(answer.requestId)).toMatchObject({
          status: "success",
          input_tokens: 9,
          output_tokens: 9,
        });
      }
    });

    test("end at max tokens", async () => {
      for (const answer of await both(client(), { prompt: "a b c d", maxTokens: 2 }))
        expect(answer).toMatchObject({ text: "a b", reason: words[client().api].length, outputTokens: 2 });
    });

    test("end before a stop text, also one that spans tokens", async () => {
      for (const answer of await both(client(), { prompt: "one two three", stop: ["never", "o th"] }))
        expect(answer).toMatchObject({ text: "one tw", reason: words[client().api].stopText });
    });

    test("follow a system prompt, which counts as input", async () => {
      for (const answer of await both(client(), { prompt: "one two", system: "be very brief" }))
        expect(answer).toMatchObject({ text: "one two", inputTokens: 5, outputTokens: 2 });
    });

    test("come from a model whose name has a slash", async () => {
      for (const { text, requestId } of await both(client(), { prompt: "hi", model: "org/mock" })) {
        expect(text).toBe("hi");
        expect(await completionOf(requestId)).toMatchObject({ model: "org/mock" });
      }
    });

    test("have the id the client gave, where the library reads x-request-id, and else ours", async () => {
      const tag = `order-${randomUUID()}`;
      const { requestId } = await client().complete({ prompt: "hi", tag });
      const [line] = await eventually("the lines", () => fixture().linesOf(tag).length > 0 && fixture().linesOf(tag));
      expect(requestId).toBe(client().readsClientId.answers ? tag : line?.["request_id"]);
    });

    test("are kept apart, 40 at a time", async () => {
      const asks = Array.from({ length: 40 }, (_, index) => ({
        prompt: `this is number ${index} of many`,
        tag: `${name}-${randomUUID()}`,
      }));
      const answers = await Promise.all(
        asks.map((ask, index) => (index % 2 === 0 ? client().complete(ask) : client().stream(ask))),
      );
      expect(answers.map(({ text }) => text)).toEqual(asks.map(({ prompt }) => prompt));
      expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(40);
    });
  });
}
