// The shared token of the plane: who knows it is served, who does not gets a refusal and nothing else.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRuntime, type RuntimeConfig } from "../../../packages/runtime/src/index.ts";
import { parseTokens } from "../../../packages/runtime/src/security/auth.ts";
import { eventually } from "../../support/cluster.ts";
import { config, failureOf } from "../peers.ts";
import { startMembers } from "./members.ts";
import { dial } from "./dialler.ts";

const token = "a token of nobody".replaceAll(" ", "-");
const other = "quite-another-token";

test("two that know the token talk, and neither the token nor a proof is in a log", async () => {
  await using members = await startMembers({ planeToken: token }, { planeToken: token });
  expect(await members.ask()).toEqual(["hello"]);
  expect(JSON.stringify(members.lines)).not.toContain(token);
});

test.each<[string, Partial<RuntimeConfig>, Partial<RuntimeConfig>, string]>([
  [
    "a caller without a token",
    { planeToken: token },
    {},
    "the peer asks for a plane token, and none is set here: set --plane-token-file",
  ],
  [
    "a worker without a token",
    {},
    { planeToken: token },
    "the listener shows no plane token: set --plane-token-file there, too",
  ],
  ["a caller with another token", { planeToken: token }, { planeToken: other }, "the dialler has another plane token"],
])("%s fails before a request is sent, with one warning at each end", async (_name, worker, caller, reason) => {
  await using members = await startMembers(worker, caller);
  const failure = await failureOf(members.ask());
  expect(failure.code).toBe("cannot_connect");
  expect(failure.message).toContain(reason);
  const ended = await eventually("the listener's line", () =>
    members.lines.find(({ message }) => message === "connection ended with an error"),
  );
  expect(ended).toMatchObject({ level: "WARN" });
  expect(JSON.stringify(ended)).toContain("plane token");
  const warnings = members.lines.filter(({ level, target }) => level === "WARN" && target !== "request_span");
  expect(warnings.map(({ message }) => String(message)).toSorted((left, right) => (left < right ? -1 : 1))).toEqual([
    "connection ended with an error",
    "instance cannot be reached, its circuit is open",
  ]);
  expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  expect(JSON.stringify(members.lines)).not.toMatch(new RegExp(`${token}|${other}`));
});

test("a token is replaced in the file without a gap, and without a restart", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dyn-token-"));
  const [worker, caller] = [join(directory, "worker"), join(directory, "caller")];
  try {
    for (const file of [worker, caller]) writeFileSync(file, `# of the plane\n${token}\n`);
    await using members = await startMembers({ planeTokenFile: worker }, { planeTokenFile: caller });
    expect(await members.ask()).toEqual(["hello"]);
    const reloaded = (count: number): Promise<boolean> =>
      eventually(
        "the reload",
        () => members.lines.filter(({ message }) => message === "plane tokens reloaded").length === count,
      );
    writeFileSync(worker, `${other}\n${token}\n`); // the worker knows both, the caller proves the old one
    await reloaded(1);
    for (const known of [token, other]) expect(await dial(members, known)).toBe("open");
    writeFileSync(worker, "short\n");
    await eventually("the warning", () =>
      members.lines.some(
        ({ message }) => message === "plane tokens cannot be reloaded, what was read before stays in use",
      ),
    );
    expect(JSON.stringify(members.lines)).not.toContain("short\\n");
    writeFileSync(worker, `${other}\n`);
    await reloaded(2);
    expect(await dial(members, other)).toBe("open");
    expect(await dial(members, token)).toContain("unauthenticated");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
describe("a list of tokens", () => {
  test("has one a line, between comments and empty lines", () => {
    const tokens = parseTokens(`\n# old\n ${token} \r\n\n${other}`);
    const expected = [token, other].flatMap((each) => parseTokens(each));
    expect(tokens.map(({ proofKey }) => proofKey.export().toString("hex"))).toEqual(
      expected.map(({ proofKey }) => proofKey.export().toString("hex")),
    );
  });

  test.each([
    ["", "it holds no token"],
    ["# only this", "it holds no token"],
    [`${token}\nsecret word here`, "line 2: expected at least 16 characters of visible ASCII"],
    ["too-short", "line 1: expected at least 16 characters"],
    [`${token}x\n`.repeat(9), "it holds 9 tokens, at most 8 are taken"],
  ])("%j is refused without being quoted", (text, reason) => {
    expect(() => parseTokens(text)).toThrow(reason);
    expect(() => parseTokens(text)).not.toThrow(/secret|too-short/);
  });

  test("of a variable is checked at the start", async () => {
    const failure = await failureOf(createRuntime({ config: { ...config, planeToken: "tiny" }, environment: {} }));
    expect(failure).toMatchObject({
      code: "invalid_argument",
      message: "DYN_PLANE_TOKEN: line 1: expected at least 16 characters of visible ASCII",
    });
  });
});
