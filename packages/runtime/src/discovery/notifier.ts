/** Tells of changes in a directory, where the system can. It only makes joining fast: the regular listing is what is relied on. */
import type { FSWatcher } from "node:fs";
import { basename } from "node:path";
import type { Troubles } from "../condition.ts";
import { messageOf, type DirectorySteps } from "./directory.ts";

/** Most scans between two tries of a watch that fails: each costs Node memory that it does not get back. */
const maxPause = 128;

/** `onChange` is called synchronously, at each notice of the system. */
export interface NotifierOptions {
  readonly directory: string;
  readonly steps: Pick<DirectorySteps, "watch">;
  /** Where it is said that changes are not announced. */
  readonly silence: Troubles;
  /** The file of this name is new, another one or gone; undefined if it is not known which, or it is the directory itself. */
  readonly onChange: (name: string | undefined) => void;
}

/** Disposing it ends the watch of the system. */
export interface Notifier extends Disposable {
  /** Hear of changes in the directory that has this inode now: another may have taken the name. Called at each scan. Never throws. */
  follow(inode: number): void;
}

/** Nothing is watched before `follow`. */
export function createNotifier({ directory, steps, silence, onChange }: NotifierOptions): Notifier {
  let watcher: FSWatcher | undefined;
  let followed: number | undefined;
  // Counted in scans.
  let [pause, rest] = [1, 0];

  function lose(reason: string): void {
    watcher?.close();
    watcher = followed = undefined; // a later scan tries again
    [pause, rest] = [Math.min(pause * 2, maxPause), pause];
    silence.begin(directory, reason);
  }

  // Whether a watch works is known once it has told of something: one that fails each time must not fill the log.
  function hear(event: string, name: string | null): void {
    silence.end(directory);
    pause = 1;
    if (event !== "rename") return; // a touch is a "change" and no news
    const isItself = name === basename(directory);
    if (isItself) followed = undefined; // it is gone or moved: another may get its name, and its inode as well
    onChange(isItself ? undefined : (name ?? undefined));
  }

  return {
    follow(inode) {
      if (inode === followed) return;
      if (rest > 0) return void (rest -= 1);
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
