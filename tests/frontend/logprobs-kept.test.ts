// How likely tokens were stays beside their text, whatever becomes of that on its way: stop texts, limits, failover, characters in two halves.
import { RuntimeError } from "@dyn/runtime";
import type { Delta } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAligned, likely, speak, startLikely, type Likely } from "../support/likely.ts";

let frontend: Likely;
beforeAll(async () => {
  frontend = await startLikely();
});
afterAll(() => frontend[Symbol.asyncDispose]());

describe("they stay beside the text", () => {
  test("when a stop text cuts it", async () => {
    frontend.engine = speak("ab", "cd", "ef");
    for (const choice of [
      ...(await frontend.complete({ logprobs: 0, stop: "de" })),
      ...(await frontend.stream({ logprobs: 0, stop: "de" })),
    ])
      expect([choice.text, choice.logprobs?.tokens]).toEqual(["abc", ["ab", "cd"]]);
    const [none] = await frontend.complete({ logprobs: 0, stop: "cd" });
    expect([none?.text, none?.logprobs?.tokens]).toEqual(["ab", ["ab"]]);
  });

  test("when the prompt's come in the delta that a stop text cuts, or that is one token too many", async () => {
    frontend.engine = async () => ({
      text: "abc",
      logprobs: [likely("abc")],
      promptLogprobs: [{ token: "x", logprob: null }],
    });
    const [cut] = await frontend.complete({ logprobs: 0, echo: true, stop: "b" });
    expect([cut?.text, cut?.logprobs?.tokens]).toEqual(["xa", ["x", "abc"]]);
    const [none] = await frontend.complete({ logprobs: 0, echo: true, max_tokens: 0 });
    expect([none?.text, none?.logprobs?.tokens]).toEqual(["x", ["x"]]);
  });

  test.each([0, 1, 2])("when its worker fails after %i tokens", async (after) => {
    const tokens = ["one", " two", " three"];
    frontend.engine = async function* failing(request, context) {
      let left = after;
      for await (const delta of speak(...tokens)(request, context) as AsyncIterable<Delta>) {
        if (context.attempt === 0 && left === 0 && delta.text !== "") throw new RuntimeError("unavailable", "gone");
        if (delta.text !== "") left -= 1;
        yield delta;
      }
    };
    const ask = { logprobs: 0, echo: true, prompt: "a b" };
    const choices = await frontend.complete(ask);
    expect(choices).toMatchObject([{ text: "a bone two three", logprobs: { tokens: ["a", " b", ...tokens] } }]);
    choices.forEach(expectAligned);
    expect(await frontend.stream(ask)).toEqual(choices);
  });

  test("when a character is cut in two", async () => {
    frontend.engine = async function* halves() {
      yield { text: "a\ud83d", logprobs: [likely("a")] };
      yield { text: "\ude42", logprobs: [likely("🙂")] };
    };
    const [choice] = await frontend.complete({ logprobs: 0 });
    expect([choice?.text, choice?.logprobs?.tokens]).toEqual(["a🙂", ["a", "🙂"]]);
  });
});
