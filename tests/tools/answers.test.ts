// The soak's judge sees what is wrong: a soak that finds nothing has looked.
import { expect, test } from "vitest";
import { chat, postChat, startCluster } from "../support/cluster.ts";
import { judge, type Fault } from "../../tools/soak/answers.ts";
import { createAsk, pathOf, type Ask, type Shape } from "../../tools/soak/asks.ts";
import { createRandom } from "../../tools/soak/random.ts";

async function send(url: string, ask: Ask): Promise<string> {
  const response = await fetch(url + pathOf(ask.shape), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...ask.body, model: "mock" }),
  });
  return response.text();
}

// One request of each shape, with at least two words.
function findAsks(): Map<Shape, Ask> {
  const random = createRandom(1);
  const asks = new Map<Shape, Ask>();
  for (let number = 0; asks.size < 6; number += 1) {
    const ask = createAsk(`a${number}`, random);
    const isPlain =
      ask.manner === "reads" && ask.expected.reasons.length === (ask.shape.startsWith("completion") ? 2 : 1);
    if (isPlain && ask.expected.texts.every((text) => text.split(" ").length > 2)) asks.set(ask.shape, ask);
  }
  return asks;
}

const isStream = (shape: Shape): boolean => shape.endsWith("stream");

/** Ways to spoil the answer to `ask`, and what the judge should call it. */
function spoil(ask: Ask, raw: string): (readonly [name: string, fault: Fault, raw: string])[] {
  const word = ask.expected.texts[0]?.split(" ")[1] ?? "";
  const events = raw.split("\n\n");
  const spoilt: (readonly [string, Fault, string])[] = [
    ["a wrong word", "mismatched", raw.replace(word, "wrong")],
    ["a doubled word", "duplicated", raw.replace(` ${word}`, ` ${word} ${word}`)],
    ["another end", "mismatched", raw.replace(/"(stop|end_turn|length)"/, '"content_filter"')],
    ["another usage", "mismatched", raw.replace(/"(completion|output)_tokens":(?=[1-9])/g, "$&1")],
  ];
  if (!isStream(ask.shape)) return spoilt;
  spoilt.push(["no last event", "lost", `${events.slice(0, -2).join("\n\n")}\n\n`]);
  spoilt.push(["half an event", "lost", raw.slice(0, -3)]);
  spoilt.push(["two last events", "duplicated", `${raw}${events.at(-2)}\n\n`]);
  spoilt.push([
    "an error event",
    "failed",
    `${events.slice(0, -2).join("\n\n")}\n\ndata: {"error":{"code":"internal_error"}}\n\n`,
  ]);
  spoilt.push(["a lost word", "mismatched", raw.replace(` ${word}`, "")]);
  return spoilt;
}

test("each shape's right answer is right, and each way to spoil it is seen", async () => {
  await using cluster = await startCluster();
  const asks = findAsks();
  expect(asks.size).toBe(6);
  for (const ask of asks.values()) {
    const raw = await send(cluster.url, ask);
    expect([ask.shape, judge(ask, 200, raw)]).toEqual([ask.shape, undefined]);
    for (const [name, fault, spoilt] of spoil(ask, raw)) {
      expect([ask.shape, name, spoilt === raw]).toEqual([ask.shape, name, false]);
      expect([ask.shape, name, judge(ask, 200, spoilt)?.fault]).toEqual([ask.shape, name, fault]);
    }
  }
  const refused = await postChat(cluster.url, chat("hi", { model: "nobody" }));
  expect(judge(asks.get("chat") as Ask, refused.status, await refused.text())).toMatchObject({
    fault: "failed",
    why: /^status 404/,
  });
});
