// A job for several choices: its requests, and the answers as one stream.
import { describe, expect, test } from "vitest";
import { mergeChoices, toRequests } from "../../../packages/runtime/src/llm/choices.ts";
import type { Delta, ModelJob } from "../../../packages/runtime/src/llm/contract.ts";
import { countPromptTokens } from "../../../packages/runtime/src/llm/tokens.ts";

function byIndex(...choices: AsyncIterable<Delta>[]): Map<number, AsyncIterable<Delta>> {
  return new Map(choices.entries());
}

/** As many as there are. */
const begin = (): Promise<Disposable> => Promise.resolve({ [Symbol.dispose]: () => undefined });

describe("a job for several choices", () => {
  const job: ModelJob = {
    model: "m",
    messages: [],
    stop: [],
    sampling: { seed: 7 },
    n: 2,
    prompts: [{ text: "a b" }, { text: "c", tokenIds: [1, 2, 3] }],
  };

  test("is one request per choice, prompts in order, seeds apart", () => {
    expect(toRequests(job).map(({ prompt, messages, sampling }) => [prompt?.text, messages, sampling.seed])).toEqual([
      ["a b", [{ role: "user", text: "a b" }], 7],
      ["a b", [{ role: "user", text: "a b" }], 8],
      ["c", [{ role: "user", text: "c" }], 7],
      ["c", [{ role: "user", text: "c" }], 8],
    ]);
    expect(toRequests(job).map(countPromptTokens)).toEqual([2, 2, 3, 3]);
  });

  test("runs all of them at once, each whole and in order", async () => {
    const choice = async function* (count: number): AsyncGenerator<Delta> {
      for (let index = 0; index < count; index += 1) {
        if (index % 3 === 0) await Promise.resolve();
        yield { text: ` ${index}` };
      }
    };
    const texts = ["", "", ""];
    for await (const delta of mergeChoices(byIndex(choice(5), choice(0), choice(40)), { begin, stop: () => undefined }))
      texts[delta.choice ?? 0] += delta.text;
    expect(texts).toEqual([" 0 1 2 3 4", "", Array.from({ length: 40 }, (_, index) => ` ${index}`).join("")]);
  });

  test("holds each choice until its last delta has been taken", async () => {
    let made = 0;
    const endless = async function* (): AsyncGenerator<Delta> {
      for (;;) yield { text: String((made += 1)) };
    };
    const merged = mergeChoices(byIndex(endless(), endless()), { begin, stop: () => undefined });
    await merged.next();
    expect(made).toBeLessThanOrEqual(4);
    await merged.return();
  });

  test("fails as a whole with the first failure, and stops the others", async () => {
    const aborter = new AbortController();
    const waiting = async function* (): AsyncGenerator<Delta> {
      yield { text: "a" };
      await new Promise((resolve) => aborter.signal.addEventListener("abort", resolve));
    };
    const failing = async function* (): AsyncGenerator<Delta> {
      yield { text: "b" };
      throw new Error("broken");
    };
    const reading = (async () => {
      for await (const _ of mergeChoices(byIndex(waiting(), failing()), { begin, stop: () => aborter.abort() }))
        continue;
    })();
    await expect(reading).rejects.toThrow("broken");
    expect(aborter.signal.aborted).toBe(true);
  });
});
