// Keys, certificates and tokens that cannot be used end the program at its start, with one line that holds no secret.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, type Authority, type Pem } from "../support/certificates.ts";
import { startProgram } from "../support/cluster.ts";

const token = "plane-token-0123456789";

let authority: Authority;
let http: Pem;
let tokenFile: string;
let shortToken: string;

beforeAll(async () => {
  authority = await createAuthority();
  http = await authority.issue("http");
  tokenFile = join(authority.directory, "token");
  writeFileSync(tokenFile, `${token}\n`);
  shortToken = join(authority.directory, "short-token");
  writeFileSync(shortToken, "tiny\n");
});
afterAll(() => authority[Symbol.dispose]());

describe("what cannot be used ends the program at its start with one line", () => {
  test.each<[string, () => string[], string]>([
    ["a key file that is not there", () => ["--api-keys-file", "/no/such/file"], "API keys (/no/such/file): ENOENT"],
    [
      "a key in the place of its hash",
      () => ["--api-keys-file", tokenFile],
      "line 1: expected a SHA-256 of 64 hex digits",
    ],
    ["a certificate without its key", () => ["--tls-cert-path", http.cert], "a certificate needs its key"],
    ["a token that is too short", () => ["--plane-token-file", shortToken], "line 1: expected at least 16 characters"],
  ])("%s", async (_name, args, reason) => {
    await using program = startProgram("dyn-frontend", [
      "--http-port",
      "0",
      "--file-kv",
      authority.directory,
      ...args(),
    ]);
    expect(await program.exited).toBe(1);
    const said = program
      .stderr()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("{"));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(reason);
    expect(program.stderr()).not.toMatch(new RegExp(`${token}|tiny`));
  });
});
