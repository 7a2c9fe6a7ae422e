/** Tells of changes in a directory, where the system can. It only makes joining fast: the regular listing is what is relied on. */
import type { FSWatcher } from "node:fs";
import type { Troubles } from "../condition.ts";
import { messageOf, type DirectorySteps } from "./directory.ts";

export interface AnnouncerOptions {
  readonly directory: string;
  readonly steps: Pick<DirectorySteps, "watch">;
  /** Where it is said that changes are not announced. */
  readonly silence: Troubles;
  readonly onChange: () => void;
}

export interface Announcer extends Disposable {
  /** Hear of changes in the directory that has this inode now: another may have taken the name. Never throws. */
  follow(inode: number): void;
}

export function createAnnouncer({ directory, steps, silence, onChange }: AnnouncerOptions): Announcer {
  let watcher: FSWatcher | undefined;
  let followed: number | undefined;

  function lose(reason: string): void {
    watcher?.close();
    watcher = followed = undefined; // the next look tries again
    silence.begin(directory, reason);
  }

  // Whether a watch works is known once it has told of something: one that fails each time must not fill the log.
  function hear(event: string): void {
    silence.end(directory);
    if (event === "rename") onChange(); // a touch is a "change" and no news
  }

  return {
    follow(inode) {
      if (inode === followed) return;
      watcher?.close();
      try {
        watcher = steps.watch(directory, hear);
        watcher.on("error", (error) => lose(messageOf(error)));
        followed = inode;
      } catch (error) {
        lose(messageOf(error)); // inotify's limits are thrown: EMFILE for instances, ENOSPC for watches
      }
    },
    [Symbol.dispose]() {
      watcher?.close();
      silence.forget(directory);
    },
  };
}
