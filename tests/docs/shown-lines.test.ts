// The lines that the documents show are those that are written: the same ones, with the same keys in the same order.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, eventually, postChat, root, startCluster, type Cluster, type Line } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test.each([["docs/logging.md", { stream: true }, { "x-request-id": "shown", traceparent }, 7]])(
  "those in %s",
  async (path, more, headers, count) => {
    await using cluster = await startCluster({ env: { DYN_LOG: "info,request_span=debug" } });
    const response = await postChat(cluster.url, chat("one two three", more), headers);
    await response.text();
    const programs = [cluster.frontend, ...cluster.workers];
    const ofRequest = (lines: readonly Line[]): Line[] => lines.filter((line) => line["x_request_id"] === "shown");
    await eventually("both completions", () =>
      programs.every((program) => ofRequest(program.lines()).at(-1)?.["message"] === "request completed"),
    );
    const written = programs.flatMap((program) => ofRequest(program.lines())).map(describe);
    const shown = (await readShown(path)).filter(({ count: sum }) => sum === undefined).map(describe);
    expect(shown).toHaveLength(count);
    for (const line of shown) expect(written).toContainEqual(line);
    if (path === "docs/logging.md") expect(shown.toSorted()).toEqual(written.toSorted());
  },
);

test("the sum of refusals in docs/logging.md", async () => {
  await using cluster = await startCluster({ workers: 0, frontendArgs: ["--log-refusals", "1"] });
  for (let sent = 0; sent < 2; sent += 1) await refuse(cluster);
  cluster.frontend.kill("SIGTERM");
  await cluster.frontend.exited;
  const written = cluster.frontend.lines().map(describe);
  const sums = (await readShown("docs/logging.md")).filter(({ count }) => count !== undefined).map(describe);
  expect(sums).toHaveLength(1);
  expect(written).toEqual(expect.arrayContaining(sums));
});

async function refuse({ url }: Cluster): Promise<void> {
  using client = dial(Number(new URL(url).port));
  client.socket.write("nonsense\r\n\r\n");
  await eventually("the refusal", () => client.isClosed());
}

async function readShown(path: string): Promise<Line[]> {
  const lines = (await readFile(join(root, path), "utf8")).split("\n").filter((line) => line.startsWith('{"time":'));
  return lines.map((line) => JSON.parse(line) as Line);
}

function describe(line: Line): string {
  return [line["level"], line["target"], line["message"], ...Object.keys(line)].map(String).join(" ");
}
