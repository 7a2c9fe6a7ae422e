// The answers that the pages show are what the document of the API describes.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/cluster.ts";
import { closeSchemas, createJudge, describeFrontend } from "../support/openapi.ts";

const judge = createJudge(closeSchemas(describeFrontend()));

/** Blocks of a page that are JSON, also as the output of a command. */
function blocksOf(page: string): unknown[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  return [...text.matchAll(/^\{\n(?:  .*\n)*\}$|^\{.*\}$/gm)].map(([block]) => JSON.parse(block) as unknown);
}

test.each([
  ["http-api.md", "Health", { status: "healthy" }],
  ["http-api.md", "NotReady", { status: "not_ready" }],
  ["lineage.md", "RequestTree", { state: "completed" }],
  ["errors.md", "OpenAIError", { error: expect.objectContaining({ param: "temperature" }) }],
  ["errors.md", "AnthropicError", { type: "error" }],
])("%s shows %s", (page, schema, sign) => {
  const shown = blocksOf(page).filter((block) => {
    const asymmetric = expect.objectContaining(sign) as { asymmetricMatch(value: unknown): boolean };
    return asymmetric.asymmetricMatch(block);
  });
  expect(shown.length).toBeGreaterThan(0);
  for (const block of shown) expect(judge(`/components/schemas/${schema}`)(block)).toEqual([]);
});
