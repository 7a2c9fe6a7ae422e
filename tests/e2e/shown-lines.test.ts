// The lines that the documents show are those that are written: the same ones, with the same keys in the same order.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, eventually, postChat, root, startCluster, type Line } from "../cluster.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test.each([
  ["README.md", {}, { "x-request-id": "shown" }, 2],
  ["docs/logging.md", { stream: true }, { "x-request-id": "shown", traceparent }, 7],
])("those in %s", async (path, more, headers, count) => {
  await using cluster = await startCluster({ env: { DYN_LOG: "info,request_span=debug" } });
  const response = await postChat(cluster.url, chat("one two three", more), headers);
  await response.text();
  const programs = [cluster.frontend, ...cluster.workers];
  const ofRequest = (lines: readonly Line[]): Line[] => lines.filter((line) => line["x_request_id"] === "shown");
  await eventually("both completions", () => programs.every((program) => ofRequest(program.lines()).at(-1)?.["message"] === "request completed"));
  const written = programs.flatMap((program) => ofRequest(program.lines())).map(describe);
  const texts = (await readFile(join(root, path), "utf8")).split("\n").filter((line) => line.startsWith('{"time":'));
  const shown = texts.map((line) => describe(JSON.parse(line) as Line));
  expect(shown).toHaveLength(count);
  for (const line of shown) expect(written).toContainEqual(line);
  if (path === "docs/logging.md") expect(shown.toSorted()).toEqual(written.toSorted());
});

function describe(line: Line): string {
  return [line["level"], line["target"], line["message"], ...Object.keys(line)].map(String).join(" ");
}
