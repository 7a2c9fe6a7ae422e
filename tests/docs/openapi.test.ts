// docs/openapi.json is what a frontend with the default settings answers; this keeps it so. Regenerate: UPDATE_DOCS=1 npx vitest run tests/docs/openapi.test.ts
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { frontendSettings } from "../../packages/frontend/src/settings/frontend-settings.ts";
import { root } from "../support/cluster.ts";
import { describeFrontend } from "../support/openapi.ts";

const page = join(root, "docs/openapi.json");

test("the document in the repository says what the code does", () => {
  const { httpMaxMessages, httpMaxCompletions, httpBodyLimitBytes, httpOverloadStatusCode } = frontendSettings;
  const document = describeFrontend("all", {
    fieldLimits: { maxMessages: httpMaxMessages.default, maxCompletions: httpMaxCompletions.default },
    maxBodyBytes: httpBodyLimitBytes.default,
    overloadStatus: httpOverloadStatusCode.default,
  });
  const expected = `${JSON.stringify(document, null, 2)}\n`;
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, expected);
  expect(readFileSync(page, "utf8") === expected, "run it with UPDATE_DOCS=1").toBe(true);
});
