/** Files that are read again when they change: certificates, tokens, keys. */
import { readFile, stat } from "node:fs/promises";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { warnOfExposed } from "./secret-files.ts";

/** Which files, and what is made of them. */
export interface ReloadingOptions<Value> {
  /** What the files are, for log lines and errors; never what they hold. */
  readonly what: string;
  readonly paths: readonly string[];
  /** Those of them with secrets: it is a warning if others can read them, now or later. Default: none. */
  readonly secrets?: readonly string[];
  /** From the files' contents, in the order of `paths`. Throws an Error whose message quotes no secret. */
  readonly parse: (contents: readonly Buffer[]) => Value;
  readonly log: Logger;
  /** Called at each change, not for the first value. If it throws, the value before stays. */
  readonly onChange?: (value: Value) => void;
  /** How often to look, ms. Default 1 000. */
  readonly intervalMs?: number;
}

/** A value that follows its files. A change that cannot be used is one warning, and the value before it stays. */
export interface Reloading<Value> extends Disposable {
  readonly current: Value;
}

/** Read the files and follow them. @throws RuntimeError `invalid_argument` if they cannot be used now. */
export async function openReloading<Value>(options: ReloadingOptions<Value>): Promise<Reloading<Value>> {
  const { what, paths, secrets = [], parse, log, onChange, intervalMs = 1_000 } = options;
  // The stamp is taken first: what is written while the files are read is found at the next look.
  let seen = await stampOf(paths);
  await warnOfExposed(secrets, log);
  let current = await load(what, paths, parse);
  let failedAt: string | undefined;
  let isLooking = false;
  let isClosed = false;

  async function look(): Promise<void> {
    const stamp = await stampOf(paths);
    if (isClosed) return;
    await warnOfExposed(secrets, log);
    if (stamp === seen || isClosed) return;
    try {
      const next = await load(what, paths, parse);
      if (isClosed) return;
      onChange?.(next);
      [seen, failedAt, current] = [stamp, undefined, next];
      log.info({ files: paths.join(", ") }, `${what} reloaded`);
    } catch (error) {
      // Asked again at every look, said once: certificate and key are seldom replaced in the same moment.
      if (failedAt !== stamp)
        log.warn({ error: (error as Error).message }, `${what} cannot be reloaded, what was read before stays in use`);
      failedAt = stamp;
    }
  }

  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => (isLooking = false));
  }, intervalMs).unref();
  return {
    get current() {
      return current;
    },
    [Symbol.dispose]() {
      isClosed = true;
      clearInterval(timer);
    },
  };
}

async function load<Value>(
  what: string,
  paths: readonly string[],
  parse: (contents: readonly Buffer[]) => Value,
): Promise<Value> {
  try {
    return parse(await Promise.all(paths.map((path) => readFile(path))));
  } catch (cause) {
    throw new RuntimeError("invalid_argument", `${what} (${paths.join(", ")}): ${(cause as Error).message}`, {
      cause,
      publicMessage: `${what} cannot be used`,
    });
  }
}

// Links are followed: a mounted secret is replaced by moving one.
async function stampOf(paths: readonly string[]): Promise<string> {
  const stamps = paths.map(async (path) => {
    try {
      const { ino, size, mtimeNs } = await stat(path, { bigint: true });
      return `${ino}:${size}:${mtimeNs}`;
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  });
  return (await Promise.all(stamps)).join(" ");
}
