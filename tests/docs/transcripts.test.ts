// What the documents show of a request with curl is what a frontend answers.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root, startCluster } from "../support/cluster.ts";

interface Transcript {
  readonly page: string;
  readonly path: string;
  readonly body: string;
  /** The part that `jq` shows, such as `choices`; undefined = all. */
  readonly part: string | undefined;
  readonly output: string;
}

const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))];

function readTranscripts(page: string): Transcript[] {
  const text = readFileSync(join(root, page), "utf8");
  const blocks = text.matchAll(/^```console\n\$ (curl (?:[^\n]*\\\n)*[^\n]*)\n(.*?)^```$/gms);
  return [...blocks].flatMap(([, command = "", output = ""]) => {
    const [, path] = /http:\/\/127\.0\.0\.1:8000(\S+)/.exec(command) ?? [];
    const [, body] = /-d '(.*)'/.exec(command) ?? [];
    if (path === undefined || body === undefined) return [];
    return [{ page, path, body, part: /\| jq \.(\w+)$/.exec(command)?.[1], output }];
  });
}

test("requests with curl are answered as the documents show", async () => {
  const transcripts = pages.filter((page) => page.endsWith(".md")).flatMap(readTranscripts);
  expect(new Set(transcripts.map(({ page }) => page))).toContain("README.md");
  expect(transcripts.length).toBeGreaterThan(2);
  await using cluster = await startCluster();
  for (const { page, path, body, part, output } of transcripts) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${cluster.url}${path}`, { method: "POST", headers, body });
    const answer = (await response.json()) as Record<string, unknown>;
    expect(part === undefined ? answer : answer[part], `${page}: ${path}`).toEqual(JSON.parse(output));
  }
});

test("a body over the limit is refused as docs/limits.md shows", async () => {
  const [, shown = ""] = /^(\{"error":.*)$/m.exec(readFileSync(join(root, "docs/limits.md"), "utf8")) ?? [];
  await using cluster = await startCluster({ workers: 0, frontendArgs: ["--http-body-limit-mb", "1"] });
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: Buffer.alloc(2_000_000),
  });
  expect(await response.json()).toEqual(JSON.parse(shown));
});
