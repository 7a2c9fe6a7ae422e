// Every link of the documents leads to a file that is there, and to a heading in it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/cluster.ts";

function documents(): string[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map((name) => join("docs", name));
  const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name, "README.md"));
  return ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", ...docs, ...packages].filter((path) =>
    path.endsWith(".md"),
  );
}

const textOf = (path: string): string => readFileSync(join(root, path), "utf8").replace(/^```.*?^```/gms, "");

/** The anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(path: string): Set<string> {
  const headings = [...textOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")));
}

/** What is wrong with the links of one page: `page: target`. */
function findBroken(path: string): string[] {
  const targets = [...textOf(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(path, target))
    .map((target) => `${path}: ${target}`);
}

function leadsSomewhere(path: string, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const page = file === "" ? path : relative(root, join(root, dirname(path), file));
  return existsSync(join(root, page)) && (anchor === undefined || anchorsOf(page).has(anchor));
}

test("no link of the documents is broken", () => {
  const pages = documents();
  expect(pages.length).toBeGreaterThan(15);
  expect(pages.flatMap(findBroken)).toEqual([]);
});

test.each([
  ["security.md#no-such-heading", false],
  ["no-such-page.md", false],
  ["security.md#what-listens", true],
  ["#in-short", true],
])("a link to %s is told apart", (target, isThere) => {
  expect(leadsSomewhere("docs/security.md", target)).toBe(isThere);
});
