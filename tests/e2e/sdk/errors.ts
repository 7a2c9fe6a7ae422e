/** Failures as a client library raises them: classes, fields, ids, and which are tried again, how often and when. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/cluster.ts";
import { failureOf, type Answer, type Ask, type Failure, type SdkClient } from "./client.ts";
import type { SdkFixture } from "./fixture.ts";

/** What the two APIs call the same failure. */
const types = {
  openai: {
    400: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    503: "server_error",
  },
  anthropic: {
    400: "invalid_request_error",
    404: "not_found_error",
    413: "request_too_large",
    503: "overloaded_error",
  },
};

// A second, less what timers and clocks are off.
const retryAfterMs = 990;

// When the requests with this tag came, once the last of them is over. Unix time, ms.
async function receivedAt({ linesOf }: SdkFixture<string>, tag: string): Promise<number[]> {
  const lines = await eventually(
    "the pair of lines",
    () => linesOf(tag).at(-1)?.["message"] === "request completed" && linesOf(tag),
  );
  return lines.filter(({ message }) => message === "request received").map(({ time }) => Date.parse(String(time)));
}

/** Tests for each of `names`, on the fixture that is open when they run. */
export function describeErrors<Name extends string>(names: readonly Name[], fixture: () => SdkFixture<Name>): void {
  describe.each(names)("errors, %s", (name) => {
    const client = (): SdkClient => fixture().client(name);

    // Whole and streamed. What will not get better is not tried again, though the client would.
    async function refusals(status: 400 | 404 | 413, ask: Ask): Promise<Failure[]> {
      const tags = [`e-${randomUUID()}`, `e-${randomUUID()}`] as const;
      const { complete, stream, toFailure, readsClientId, api, classes } = client();
      const failures = [
        await failureOf(toFailure, complete({ ...ask, tag: tags[0], maxRetries: 2 })),
        await failureOf(toFailure, stream({ ...ask, tag: tags[1], maxRetries: 2 })),
      ];
      for (const [index, failure] of failures.entries()) {
        const tag = tags[index] ?? "";
        expect(failure).toMatchObject({ name: classes[status], status, type: types[api][status] });
        expect(await receivedAt(fixture(), tag)).toHaveLength(1);
        expect(failure.requestId).toBe(readsClientId.errors ? tag : fixture().linesOf(tag)[0]?.["request_id"]);
      }
      return failures;
    }

    test("an unknown model is not found", async () => {
      for (const { code, message } of await refusals(404, { prompt: "hi", model: "org/nobody" })) {
        expect(message).toContain("org/nobody");
        if (client().api === "openai") expect(code).toBe("model_not_found");
      }
    });

    test("a bad field is a bad request that names it", async () => {
      for (const { code, param, message } of await refusals(400, {
        prompt: "hi",
        stop: Array.from({ length: 1_025 }, String),
      })) {
        expect(message).toContain(
          client().api === "openai" ? "stop must have at most 4 items" : "stop_sequences must have at most 1024 items",
        );
        if (client().api === "openai")
          expect({ code, param }).toEqual({ code: "array_above_max_length", param: "stop" });
      }
    });

    test("a body over the limit is too large", async () => {
      for (const { code } of await refusals(413, { prompt: "x".repeat(3_000_000) }))
        if (client().api === "openai") expect(code).toBe("request_too_large");
    });
  });

  // One after the other these would take half a minute; all clients wait at the same time instead.
  describe("without a worker", () => {
    const failed = new Map<Name, { tag: string; failure: Failure }>();
    const answered = new Map<Name, { tag: string; answer: Answer }>();
    const ask = { prompt: "one two", model: "half" };

    beforeAll(async () => {
      const { client, linesOf, completeHalf } = fixture();
      const tags = new Map(names.map((name) => [name, `r-${randomUUID()}`]));
      // Once a second they ask again, and a worker takes as long to start as the machine is busy.
      const patient = names.map(async (name) => {
        const tag = tags.get(name) ?? "";
        answered.set(name, { tag, answer: await client(name).stream({ ...ask, tag, maxRetries: 100 }) });
      });
      const hasty = names.map(async (name) => {
        const tag = `r-${randomUUID()}`;
        const { complete, toFailure } = client(name);
        failed.set(name, { tag, failure: await failureOf(toFailure, complete({ ...ask, tag, maxRetries: 1 })) });
      });
      await Promise.all(hasty);
      await eventually("two refusals of each", () =>
        [...tags.values()].every(
          (tag) => linesOf(tag).filter(({ message }) => message === "request completed").length >= 2,
        ),
      );
      await completeHalf();
      await Promise.all(patient);
    });

    test.each(names)("%s tries again after Retry-After, then raises", async (name) => {
      const { api, classes } = fixture().client(name);
      const { tag, failure } = failed.get(name) ?? { tag: "", failure: undefined };
      expect(failure).toMatchObject({ name: classes[503], status: 503, type: types[api][503] });
      const [first = 0, second = 0, ...more] = await receivedAt(fixture(), tag);
      expect(more).toEqual([]);
      expect(second - first).toBeGreaterThanOrEqual(retryAfterMs); // of its own it would wait half as long
    });

    test.each(names)("%s succeeds once a worker is there", async (name) => {
      const { tag, answer } = answered.get(name) ?? { tag: "" };
      expect(answer).toMatchObject({ text: "one two", inputTokens: 2, outputTokens: 2 });
      const times = await receivedAt(fixture(), tag);
      expect(times.length).toBeGreaterThanOrEqual(3);
      for (const [index, time] of times.slice(1).entries())
        expect(time - (times[index] ?? 0)).toBeGreaterThanOrEqual(retryAfterMs);
    });
  });
}
