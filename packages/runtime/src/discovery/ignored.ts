/** Says which files of a bucket are ignored, and not of thousands of them one by one: whoever can write there could fill the log. */
import type { Logger } from "../logging/logger.ts";

/** Lines in one period. */
const maxLines = 20;
const periodMs = 60_000;

export interface IgnoredNotice {
  /** A file is ignored. */
  readonly tell: (path: string, error: string) => void;
  /** Called at each listing: how many files had no line of their own is said once their period is over. */
  readonly look: () => void;
}

export interface IgnoredNoticeOptions {
  readonly log: Logger;
  readonly directory: string;
  /** Wall clock in ms. */
  readonly now: () => number;
}

export function createIgnoredNotice({ log, directory, now }: IgnoredNoticeOptions): IgnoredNotice {
  let [begunAt, lines, more] = [now(), 0, 0];
  return {
    tell(path, error) {
      if (lines < maxLines) log.warn({ path, error }, "discovery record ignored");
      else more += 1;
      lines += 1;
    },
    look() {
      const age = now() - begunAt;
      if (age >= 0 && age < periodMs) return;
      if (more > 0) log.warn({ directory, count: more }, "more discovery records were ignored");
      [begunAt, lines, more] = [now(), 0, 0];
    },
  };
}
