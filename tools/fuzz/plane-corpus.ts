/** Valid bytes of the plane, to be mutated: those that are written down, and more that our encoders make. */
import { readdirSync, readFileSync } from "node:fs";
import { encodeDeltaItem, encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { write } from "../../tests/runtime/bytes.ts";

/** Data of every kind that a payload may hold. */
export const plainValues: readonly unknown[] = [
  null,
  { name: "ada" },
  {
    at: new Date(1e12),
    all: new Map<unknown, unknown>([[{ a: 1 }, new Set([7n, 2n ** 70n])]]),
    numbers: Float64Array.of(1, 2),
  },
  [
    0,
    1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    4_294_967_295,
    4_294_967_296,
    -1,
    -32,
    -33,
    -129,
    -32_769,
    2n ** 63n,
    -(2n ** 63n),
  ],
  [1.5, -0.1, 1e300, Number.POSITIVE_INFINITY, true, false, null],
  {
    text: "wörld 🌍",
    long: "x".repeat(300),
    bytes: Buffer.from([0, 1, 2, 255]),
    lists: [[], [[]], [1, [2, [3]]]],
    maps: { a: { b: { c: {} } } },
  },
  {
    model: "mock",
    messages: [{ role: "user", text: "hello" }],
    stop: ["\n"],
    sampling: { temperature: 0.5, seed: 7 },
    maxTokens: 16,
    n: 2,
  },
  { text: "end", finishReason: "stop", usage: { promptTokens: 3, completionTokens: 4 }, choice: 300 },
];

function readGolden(): Buffer[] {
  const directory = new URL("../../tests/golden/plane/", import.meta.url);
  const names = readdirSync(directory).filter((name) => name.endsWith(".hex") && name !== "preface.hex");
  return names.toSorted().map((name) => Buffer.from(readFileSync(new URL(name, directory), "utf8").trim(), "hex"));
}

const headers = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=value,other@x=1",
  baggage: "user=1",
  "x-request-id": "mine",
  __proto__x: "1",
};

/** One frame each, header included. */
export const goldenFrames: readonly Buffer[] = [
  ...readGolden(),
  ...plainValues.map((value) =>
    write((writer) => {
      const request = {
        path: "dynamo/backend/generate",
        headers,
        attempt: 2,
        deadlineMs: 5_000,
        credit: 1,
        payload: encodePayload(value),
      };
      messages.encodeRequest(writer, 1, request);
    }),
  ),
  ...plainValues.map((value) =>
    write((writer) => {
      const mark = writer.beginItems(7);
      encodeDeltaItem(writer, { text: "one" });
      encodeDeltaItem(writer, { text: "zwei 🌍", tokenIds: [1, 2, 3], choice: 1 });
      encodeValueItem(writer, value);
      writer.endItems(7, mark);
    }),
  ),
];
