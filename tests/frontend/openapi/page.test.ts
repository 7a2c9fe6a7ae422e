// The page of the API: everything of the document is there, nothing is loaded, and no text is markup.
import { expect, test } from "vitest";
import type { OpenApiDocument } from "../../../packages/frontend/src/openapi/openapi.ts";
import { toPage } from "../../../packages/frontend/src/openapi/page.ts";
import { describeFrontend } from "../../support/openapi.ts";

const document = describeFrontend();
const page = toPage(document);

function all(pattern: RegExp, text = page): string[] {
  return [...text.matchAll(pattern)].map(([, found]) => found ?? "");
}

/** Elements that do not end, or end in the wrong place. */
function findUnbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, end, name = ""] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (["meta", "link"].includes(name)) continue;
    if (end === "") open.push(name);
    else if (open.pop() !== name) wrong.push(name);
  }
  return [...wrong, ...open];
}

test("it has every route, field and failure of the document", () => {
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, { summary, operationId }] of Object.entries(methods)) {
      expect(page).toContain(`<h3 id="${operationId}"><code>${method.toUpperCase()} ${path}</code> ${summary}</h3>`);
      expect(page).toContain(`<a href="#${operationId}">`);
    }
  for (const [name, { properties = {} }] of Object.entries(document.components.schemas)) {
    expect(page).toContain(`<h3 id="${name}">`);
    for (const field of Object.keys(properties)) expect(page).toContain(`<td><code>${field}</code>`);
  }
  for (const path of ["messages[].role", "messages[].content[](tool_result).content[](text).text"])
    expect(page).toContain(`<td><code>${path}</code>`);
  for (const words of ["0 to 2", "1 to 256 characters", "up to 4 items", "1 to 100000 items", "nothing is served at"])
    expect(page).toContain(words);
});

test("its commands are ready to be used", () => {
  const commands = all(/<pre>(curl [^<]*)<\/pre>/g).map((each) =>
    each.replaceAll("&#39;", "'").replaceAll("&quot;", '"'),
  );
  expect(commands).toContain(
    `curl -sN http://127.0.0.1:8000/v1/chat/completions \\\n  -H 'content-type: application/json' \\\n  -d '{"model":"mock","messages":[{"role":"user","content":"hello world"}],"stream":true}'`,
  );
  expect(commands).toContain("curl -s http://127.0.0.1:8000/v1/models/ID");
  const closed = toPage(describeFrontend("all", { isOpen: (audience) => audience === "anybody" }));
  expect(closed).toContain("curl -s -H &#39;authorization: Bearer KEY&#39; http://127.0.0.1:8000/metrics");
  expect(closed).toContain("Needs an API key.");
});

test("it loads nothing, and every link leads somewhere", () => {
  expect(page).not.toMatch(/<script|<img|<iframe|\bsrc=|@import|url\(|\bon[a-z]+=|javascript:/i);
  const ids = all(/ id="([^"]*)"/g);
  expect(new Set(ids).size).toBe(ids.length);
  const links = all(/ href="([^"]*)"/g);
  expect(links.length).toBeGreaterThan(100);
  for (const link of links) expect(["openapi.json", ...ids.map((id) => `#${id}`)]).toContain(link);
  expect(findUnbalanced(page)).toEqual([]);
});

test("no text of the document is markup", () => {
  const hostile = `<script>"'&`;
  const spoil = (json: unknown): unknown => {
    if (typeof json === "string") return `${json}${hostile}`;
    if (Array.isArray(json)) return json.map(spoil);
    if (typeof json !== "object" || json === null) return json;
    const keep = new Set(["$ref", "type", "tags", "name", "in"]); // what the page looks things up by
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, keep.has(key) ? value : spoil(value)]));
  };
  const spoilt = toPage(spoil(document) as OpenApiDocument);
  expect(spoilt).not.toContain("<script>");
  expect(spoilt.split("&lt;script&gt;&quot;&#39;&amp;").length).toBeGreaterThan(500);
  expect(findUnbalanced(spoilt)).toEqual([]);
});
