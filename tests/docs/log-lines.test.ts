// Every message that the code writes stands in the pages about the log.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/cluster.ts";

const call = /\.(?:trace|debug|info|warn|error|warnOnce|event|summed|step)\((?:[^()]|\([^()]*\))*\)/g;
const text = /"([^"]*)"|`([^`$]*)[^`]*`/g;

function withoutFields(code: string): string {
  const less = code.replaceAll(/(?<!\$)\{[^{}]*\}/g, "");
  return less === code ? code : withoutFields(less);
}

// Words with blanks between, which names of events and levels have not; of a template what stands before its first value.
function messagesIn(source: string): string[] {
  return [...source.matchAll(call)]
    .flatMap(([code]) => [...withoutFields(code).matchAll(text)])
    .map(([, plain = "", template = ""]) => plain + template)
    .filter((message) => message.includes(" "));
}

function readMessages(): string[] {
  const sources = ["runtime", "frontend", "mock-worker", "upstream-worker"].map((name) =>
    join(root, "packages", name, "src"),
  );
  return sources.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => messagesIn(readFileSync(join(folder, name), "utf8"))),
  );
}

function isTold(message: string, told: readonly string[]): boolean {
  return told.some((text) =>
    text.endsWith("…") ? message.startsWith(text.slice(0, -1).trimEnd()) : text.startsWith(message),
  );
}

test("the pages on the log tell of every message", () => {
  const pages = ["docs/log-lines.md", "docs/logging.md"]
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  const told = [...pages.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  const messages = readMessages();
  expect(messages).toContain("instance left");
  expect(messages.length).toBeGreaterThan(60);
  expect(messages.filter((message) => !isTold(message, told))).toEqual([]);
  expect(
    messagesIn('log.warn({ error, ...of(it) }, "nobody tells of this")').filter((it) => !isTold(it, told)),
  ).toEqual(["nobody tells of this"]);
});
