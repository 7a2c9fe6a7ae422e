/** Whether the process has file descriptors left. Nobody says so of connections: libuv takes those it has no descriptor for with one that it keeps for that, and closes them
 *  without a word (uv__emfile_trick, https://github.com/libuv/libuv/blob/v1.x/src/unix/stream.c). So one is asked for, once a second. */
import { open as openFile } from "node:fs/promises";
import { devNull } from "node:os";
import type { Logger } from "../logging/logger.ts";

/** Of the watch of a process. */
export interface DescriptorOptions {
  readonly log: Logger;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Take a descriptor and give it back. Default: opens the null device. */
  readonly probe?: () => Promise<void>;
  /** Default 1 000. */
  readonly everyMs?: number;
}

/** Of the process, of the system. */
const usedUp: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE"]);

/** Say it once when they are used up, and once when there are some again, until disposed. */
export function watchDescriptors({ log, now, probe = openNothing, everyMs = 1_000 }: DescriptorOptions): Disposable {
  let missingSince: number | undefined;
  let isAsking = false;
  const look = async (): Promise<void> => {
    const error = await probe().then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
    if (error === undefined && missingSince !== undefined) {
      log.info({ elapsed_ms: Math.round(now() - missingSince) }, "there are file descriptors again");
      missingSince = undefined;
    }
    if (missingSince !== undefined || !(error && "code" in error && usedUp.has(error.code))) return;
    missingSince = now();
    log.error(
      { error: error.message },
      "file descriptors are used up: new connections are closed at once; raise the limit (ulimit -n), or allow fewer connections",
    );
  };
  const timer = setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    void look().finally(() => (isAsking = false));
  }, everyMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function openNothing(): Promise<void> {
  const file = await openFile(devNull);
  await file.close();
}
