// The file of API keys.
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formatKeyLine, parseApiKeys, presentedKeys } from "../../../packages/runtime/src/http/api-keys.ts";
import { root } from "../../support/cluster.ts";

const key = "sk-0123456789abcdef";
const hex = createHash("sha256").update(key).digest("hex");

describe("a file of keys", () => {
  test("has a hash a line, and a name if wanted", () => {
    const keys = parseApiKeys(
      `# ours\n\n  ${hex}   team-a  \r\n${createHash("sha256").update("another").digest("hex").toUpperCase()}\n`,
    );
    expect(keys.find(presentedKeys({ "x-api-key": key }))).toMatchObject({ name: "team-a", hash: hex });
    expect(keys.find(presentedKeys({ authorization: `Bearer ${key}` }))?.name).toBe("team-a");
    expect(keys.find(presentedKeys({ authorization: "Bearer another" }))?.name).toMatch(/^sha256:[0-9a-f]{8}$/);
    expect(keys.find(presentedKeys({ authorization: "Bearer unknown", "x-api-key": key }))).toMatchObject({
      name: "team-a",
      hash: hex,
    });
    expect(keys.find(presentedKeys({ authorization: `Bearer  ${key} more` }))).toBeUndefined();
    expect(keys.find(presentedKeys({}))).toBeUndefined();
  });

  test("without a key lets nobody in", () => {
    const keys = parseApiKeys("# nobody");
    expect(keys.find(presentedKeys({ "x-api-key": "" }))).toBeUndefined();
    expect(keys.isEmpty).toBe(true);
    expect(parseApiKeys(hex).isEmpty).toBe(false);
  });

  test.each([
    [key, "line 1: expected a SHA-256 of 64 hex digits"],
    [`${hex} a/b`, "line 1: expected a name"],
    [`${hex} a b`, "line 1: expected a hash and a name, nothing after them"],
    [`\n${hex} a\n${hex} b`, "line 3: that key is listed already"],
  ])("%j is refused without being quoted", (text, reason) => {
    expect(() => parseApiKeys(text)).toThrow(reason);
    expect(() => parseApiKeys(text)).not.toThrow(new RegExp(`${key}|${hex}`));
  });
});

describe("dyn-frontend hash-key", () => {
  const run = (input: string, ...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(join(root, "node_modules/.bin/dyn-frontend"), ["hash-key", ...args], { input, encoding: "utf8" });

  test("writes the line of a key on standard input", () => {
    expect(run(`${key}\n`, "team-a")).toMatchObject({ status: 0, stdout: `${hex} team-a\n`, stderr: "" });
    expect(run(key)).toMatchObject({ status: 0, stdout: `${hex}\n` });
    expect(formatKeyLine(key, "team-a")).toBe(`${hex} team-a`);
  });

  test.each([
    ["", "expected one key of at least 16 characters"],
    ["short", "expected one key of at least 16 characters"],
    [`${key}\n${key}\n`, "expected one key of at least 16 characters"],
  ])("refuses %j in one line", (input, reason) => {
    const { status, stdout, stderr } = run(input);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(`dyn-frontend hash-key: ${reason} of visible ASCII on standard input\n`);
  });

  test("refuses a bad name", () => {
    expect(run(key, "a b")).toMatchObject({
      status: 2,
      stderr: "dyn-frontend hash-key: expected a name of 1 to 64 letters, digits and . _ @ -\n",
    });
  });
});
