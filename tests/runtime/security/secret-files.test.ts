// Files with secrets that others can read or change: each is one warning.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createLogger, type Logger } from "../../support/logger.ts";
import { openReloading } from "../../../packages/runtime/src/security/reload.ts";
import { isExposed } from "../../../packages/runtime/src/security/secret-files.ts";
import { openTls } from "../../../packages/runtime/src/security/tls.ts";
import { createAuthority } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";

describe("whether a file is exposed:", () => {
  test.each<[string, number, number, number | undefined, boolean]>([
    ["one of this user alone", 0o100600, 7, 7, false],
    ["one that even its owner may only read", 0o100400, 7, 7, false],
    ["one that a group may read", 0o100640, 7, 7, true],
    ["one that a group may write", 0o100620, 7, 7, true],
    ["one that all may read", 0o100604, 7, 7, true],
    ["one that all may write", 0o100602, 7, 7, true],
    ["one as files are by default", 0o100644, 7, 7, true],
    ["one of root, for a group, as Kubernetes mounts it with fsGroup", 0o100440, 0, 7, false],
    ["one of root, for a group that may write", 0o100660, 0, 7, true],
    ["one of root, for all, as docker mounts it by default", 0o100444, 0, 7, true],
    ["one of root, for a group, read by root", 0o100640, 0, 0, true],
    ["one of root alone, read by root", 0o100600, 0, 0, false],
    ["one of another user alone, read by root", 0o100600, 7, 0, false],
    ["where modes say nothing", 0o100666, 0, undefined, false],
  ])("%s", (_name, mode, uid, own, expected) => {
    expect(isExposed({ mode, uid }, own)).toBe(expected);
  });
});

interface Warned {
  readonly log: Logger;
  readonly warnings: () => unknown[];
}

function collect(): Warned {
  const records: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => records.push(record) });
  return {
    log,
    warnings: () =>
      records.filter(({ level }) => level === "WARN").map(({ message, path, mode }) => [message, path, mode]),
  };
}

const message = "others can read or change a file with secrets: give it mode 0600, or 0640 if it belongs to root";

test("a file that others can read is one warning for all who read it, and another one once it has another mode", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-secrets-"));
  const [path, open] = [join(directory, "token"), join(directory, "open")];
  await writeFile(path, "first", { mode: 0o600 });
  await writeFile(open, "first");
  await chmod(open, 0o644);
  const { log, warnings } = collect();
  const parse = ([bytes]: readonly Buffer[]): string => String(bytes);
  const options = { what: "secrets", paths: [path, open], parse, log, intervalMs: 5 };
  using value = await openReloading({ ...options, secrets: [path] });
  using _other = await openReloading({ ...options, secrets: [path], log: log.child({ target: "other" }) });
  expect(warnings()).toEqual([]);
  await chmod(path, 0o644); // nothing else of it changes
  await eventually("the warning", () => warnings().length > 0);
  await writeFile(path, "second");
  await eventually("the next value", () => value.current === "second");
  expect(warnings()).toEqual([[message, path, "0644"]]);
  await chmod(path, 0o640);
  await eventually("the other warning", () => warnings().length > 1);
  expect(warnings()).toEqual([
    [message, path, "0644"],
    [message, path, "0640"],
  ]);
  await rm(directory, { recursive: true });
});

test("of certificates only the key is secret", async () => {
  using authority = await createAuthority();
  const { cert, key } = await authority.issue("a");
  for (const path of [cert, authority.ca, key]) await chmod(path, 0o644);
  const { log, warnings } = collect();
  using _tls = await openTls({
    what: "certificates",
    paths: { cert, key, ca: authority.ca },
    minVersion: "TLSv1.3",
    log,
  });
  expect(warnings()).toEqual([[message, key, "0644"]]);
});
