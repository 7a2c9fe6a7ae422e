/** Lines of logs, of every kind, to what `dyn-frontend trace` makes of them. */
import { Readable } from "node:stream";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import { readRecording, recordings } from "../../tests/lineage/recordings.ts";
import type { Corpus } from "./mutate-bytes.ts";
import { mutateJson } from "./mutate-json.ts";
import type { Random } from "./random.ts";
import { assertThat, type Target } from "./target.ts";

const id = "fuzzed";
const newline = Buffer.from("\n");
const obeyed = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\ufeff\u{e0000}-\u{e0fff}]/u;

// Some lines of some requests, most of them as they were: what they say of each other is what is looked at.
function mutateLog(random: Random, corpus: Corpus): Buffer {
  const lines = Array.from({ length: random.oneIn(2) ? 1 : 1 + random.below(12) }, () =>
    random.oneIn(3) ? random.pick(corpus) : mutateJson(random, corpus),
  );
  return Buffer.concat(lines.flatMap((line) => [line, newline]));
}

async function feedLog(bytes: Buffer): Promise<void> {
  const said: string[] = [];
  const options = { id, files: ["-"], limit: 30, columns: 100, color: false, input: Readable.from([bytes]) };
  const remark = (text: string): void => void said.push(text);
  await traceRequests({ ...options, json: bytes.length % 2 === 0, print: remark, remark });
  assertThat(!obeyed.test(said.join("").replaceAll("\n", "")), "a terminal would obey what is printed");
  assertThat(!("polluted" in {}) && !("span_id" in {}), "a line has changed all objects");
}

const lines = recordings.flatMap((name) =>
  readRecording(name).map(({ fields }) => JSON.stringify({ ...fields, x_request_id: id })),
);
// As docker and journald keep them.
const wrapped = lines.flatMap((line) => [
  JSON.stringify({ log: `${line}\n`, stream: "stderr", time: "2026-11-27T17:23:24.457250123Z" }),
  JSON.stringify({ MESSAGE: line, PRIORITY: "6", _PID: "7", _STREAM_ID: "1", CONTAINER_PARTIAL_MESSAGE: "true" }),
  JSON.stringify({ MESSAGE: [...Buffer.from(line)], PRIORITY: "6", _PID: "7" }),
]);

export const lineTargets: readonly Target[] = [
  {
    name: "lines",
    codes: ["invalid_argument"],
    corpus: [...lines, ...lines, ...wrapped].map((line) => Buffer.from(line)),
    mutate: mutateLog,
    feed: feedLog,
  },
];
