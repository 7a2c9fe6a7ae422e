/** The files of one bucket as they were last read. A scan costs what is new, was announced or is due, and of all the others no more than their names. */
import type { Change } from "./discovery.ts";
import type { OpenDirectory } from "./open-directory.ts";
import { isTemporary, readRecordFile, type KnownFile, type ReadOptions } from "./record-file.ts";
import { recordKey } from "./records.ts";

/** How many files are read at a time. */
const lanes = 16;

/** One scan at a time: the owner waits for one before it asks for the next. */
export interface BucketFiles {
  /** The file of this name may be another one by now: the next scan reads it, too. */
  announce(name: string): void;
  /** Read the files that were announced. @returns what has changed. */
  readAnnounced(directory: OpenDirectory): Promise<Change[]>;
  /** List the directory, and read the files that are new, announced or due. @returns what has changed. Throws what the system says. */
  list(directory: OpenDirectory): Promise<Change[]>;
  /** Any of them may be another one by now: the next list reads all. */
  doubt(): void;
  /** There is no directory. @returns what has changed. */
  clear(): Change[];
}

/** Create it; nothing is known at first. One scan at a time. */
export function createBucketFiles(options: ReadOptions): BucketFiles {
  const { steps, now, tokens } = options;
  const known = new Map<string, KnownFile>();
  const announced = new Set<string>();
  let judgedBy = tokens();

  // A token that is gone vouches for nothing any more, and one that is new may vouch for what was ignored.
  function followTokens(): void {
    if (tokens() === judgedBy) return;
    judgedBy = tokens();
    for (const [name, { alive: _, ...file }] of known) known.set(name, { ...file, version: undefined });
  }

  function replace(name: string, file: KnownFile | undefined): Change[] {
    const before = known.get(name)?.record;
    if (file) known.set(name, file);
    else known.delete(name);
    const record = file?.record;
    const either = record ?? before;
    return either && record !== before ? [{ key: recordKey(either), record }] : [];
  }

  async function readAll(directory: OpenDirectory, names: readonly string[]): Promise<Change[]> {
    const left = names.values();
    const changes: Change[] = [];
    const lane = async (): Promise<void> => {
      for (const name of left)
        changes.push(...replace(name, await readRecordFile(directory, name, known.get(name), options)));
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return changes;
  }

  return {
    announce: (name) => void announced.add(name),
    readAnnounced(directory) {
      const names = [...announced].filter(isOurs);
      announced.clear(); // they may be announced again from here on
      return readAll(directory, names);
    },
    async list(directory) {
      followTokens();
      const asked = new Set(announced);
      const names = (await directory.at(".", steps.list)).filter(isOurs);
      for (const name of asked) announced.delete(name);
      const at = now();
      const changes = await readAll(
        directory,
        names.filter((name) => asked.has(name) || isDue(known.get(name), at)),
      );
      const there = new Set(names);
      for (const name of known.keys()) if (!there.has(name)) changes.push(...replace(name, undefined));
      return changes;
    },
    doubt() {
      for (const [name, { alive: _, ...file }] of known) known.set(name, file);
    },
    clear: () => [...known.keys()].flatMap((name) => replace(name, undefined)),
  };
}

// Other files with a dot are of others, such as Dynamo's lock.
function isOurs(name: string): boolean {
  return !name.startsWith(".") || isTemporary(name);
}

// A clock that was set back makes all of them due.
function isDue(file: KnownFile | undefined, now: number): boolean {
  return !file?.alive || now < file.alive.from || now > file.alive.until;
}
