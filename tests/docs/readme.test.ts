// What the README shows is what its commands print, but for ids, times and the length of bars.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, postChat, root, startCluster, startProgram, type Cluster, type Line } from "../support/cluster.ts";

const readme = await readFile(join(root, "README.md"), "utf8");

/** Commands of the README with what they print, in order. */
const transcripts = [...readme.matchAll(/^```console\n\$ (.*?(?:\\\n.*?)*)\n(.*?)^```$/gms)].map(
  ([, command = "", output = ""]) => ({ command, output }),
);

const id = "demo-1";
const linesOf = ({ frontend, workers }: Cluster): Line[] =>
  [frontend, ...workers].flatMap((program) => program.lines()).filter((line) => line["x_request_id"] === id);

test("the README shows what its commands print", async () => {
  const [start, ask, lines, trace] = transcripts;
  expect(start).toMatchObject({ command: "DYN_LOG=info npm start -- --log-jsonl 2> dyn.jsonl", output: "" });
  expect(ask?.command).toContain(`-H 'x-request-id: ${id}'`);
  await using cluster = await startCluster();
  const response = await postChat(cluster.url, /-d '(.*)'/.exec(ask?.command ?? "")?.[1], { "x-request-id": id });
  const { choices } = (await response.json()) as { choices: unknown };
  expect(JSON.stringify(choices, null, 2)).toBe(ask?.output.trimEnd());

  await eventually("the last lines of both", () => linesOf(cluster).length === 5);
  const rows = linesOf(cluster).toSorted((left, right) => (String(left["time"]) < String(right["time"]) ? -1 : 1));
  const shown = rows.map(({ time, target, message }) => [String(time).slice(11, 23), target, message].join("  "));
  expect(mask(shown.join("\n"))).toBe(mask(lines?.output ?? ""));

  const log = join(cluster.directory, "dyn.jsonl");
  await writeFile(log, [cluster.frontend, ...cluster.workers].map((program) => program.stderr()).join(""));
  expect(trace?.command).toBe(`npx --no-install dyn-frontend trace ${id} dyn.jsonl`);
  await using picture = startProgram("dyn-frontend", ["trace", id, log]);
  expect(await picture.exited).toBe(0);
  const printed = picture.stderr().replace(log, "dyn.jsonl") + picture.stdout();
  expect(mask(printed)).toBe(mask(trace?.output ?? ""));
});

test("the README's transcripts and code fit a terminal of 100 columns", () => {
  const blocks = [...readme.matchAll(/^```(?:console|ts)\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  expect(blocks.length).toBeGreaterThan(4);
  expect(blocks.flatMap((block) => block.split("\n")).filter((line) => line.length > 100)).toEqual([]);
});

// A note tells of clocks that are set while the test runs.
function mask(text: string): string {
  return text
    .replaceAll(/^note .*\n(?: +.*\n)*\n/gm, "")
    .replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "ID")
    .replaceAll(/\b[\da-f]{32}\b/g, "TRACE")
    .replaceAll(/\d{4}-\d\d-\d\dT\S+/g, "TIME")
    .replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, "TIME")
    .replaceAll(/\b\d{12,20}\b/g, "WORKER")
    .replaceAll(/[\d.]+ m?s\b/g, "DURATION")
    .replaceAll(/\d+ lines, \d+ of dyn/g, "LINES")
    .replaceAll(/[░█]+/g, "BAR")
    .replaceAll(/ +/g, " ")
    .trim();
}
