/** Keeps the records of this process alive: each is touched while it is as it was written, and written again if it is not. */
import { basename } from "node:path";
import type { Troubles } from "../condition.ts";
import type { Fields } from "../logging/format.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import { openOnce, type Buckets, type OpenBuckets } from "./buckets.ts";
import { isMissing, messageOf, openFile, touchFile } from "./directory.ts";
import type { OpenDirectory } from "./open-directory.ts";
import type { Pulse } from "./pulse.ts";
import { toFileText, writeRecord } from "./record-file.ts";
import { bucketOf, recordKey, type DiscoveryRecord } from "./records.ts";

/** A record that this process has published. */
export interface OwnRecord {
  readonly record: DiscoveryRecord;
  /** What was written last. */
  text: string;
}

/** What the heartbeat shares with the owner of the records. */
export interface HeartbeatOptions {
  /** Records by path. */
  readonly own: ReadonlyMap<string, OwnRecord>;
  /** True while a record of that path is being published: it may be there already, and in `own` not yet. */
  readonly isInHand: (path: string) => boolean;
  /** The first one signs: records are signed again once there is another first one. */
  readonly tokens: () => Tokens | undefined;
  readonly buckets: Buckets;
  /** Touches records when this process cannot. */
  readonly pulse: Pulse;
  /** How often records are touched, ms. */
  readonly heartbeatMs: number;
  /** How long a record may take to be written; a beat that takes longer is a trouble, ms. */
  readonly answerMs: number;
  /** Where it is said that a record cannot be kept alive. */
  readonly troubles: Troubles;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly now: () => number;
}

/** Touches every record at each beat. Disposing it stops the beats; records then expire. */
export interface Heartbeat extends Disposable {
  /** A record is not to be kept alive any more. Resolves once no beat is under way that might write it again. */
  forget(path: string): Promise<void>;
}

/** Start beating. A record whose touch fails is no reason to let the others die. */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { own, buckets, heartbeatMs, answerMs, troubles } = options;
  const failing = new Set<string>();
  let beating: Promise<void> | undefined;
  let rounds = 0;
  const beat = async (): Promise<void> => {
    await using opened = openOnce((bucket) => buckets.open(bucket)); // they may have been exchanged since the last beat
    for (const [path, each] of own) await touch(path, each, { ...options, failing, opened });
    troubles.end("heartbeat");
  };
  const timer = setInterval(() => {
    rounds = beating ? rounds + 1 : 0;
    if (rounds === Math.ceil(answerMs / heartbeatMs))
      troubles.begin("heartbeat", "the directory does not answer: records of this process wait to be touched");
    beating ??= beat().finally(() => (beating = undefined));
  }, heartbeatMs);
  return {
    async forget(path) {
      await beating;
      options.pulse.forget(path);
      failing.delete(path);
      troubles.forget(path);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** What is written, and where. */
export interface OwnFile {
  /** Where it is reached now. */
  readonly at: string;
  /** What it is called. */
  readonly path: string;
  readonly text: string;
  readonly pulse: Pulse;
}

/** Write a record of this process, and have it kept alive while the event loop is blocked. */
export async function writeOwn({ at, path, text, pulse }: OwnFile): Promise<void> {
  await writeRecord(at, text);
  const file = await openFile(at).catch(() => undefined); // somebody has taken it away: the next beat writes it again
  if (file !== undefined) pulse.keep(path, file);
}

interface Beat extends HeartbeatOptions {
  readonly opened: OpenBuckets<OpenDirectory>;
  /** Paths of records that could not be kept alive the last time. */
  readonly failing: Set<string>;
}

// Never rejects.
async function touch(path: string, each: OwnRecord, beat: Beat): Promise<void> {
  const { own, troubles, failing, log } = beat;
  try {
    await keepAlive(path, each, beat);
    failing.delete(path);
    troubles.end(path);
  } catch (error) {
    if (!own.has(path)) return; // withdrawn meanwhile
    troubles.begin(path, `a record of this process cannot be kept alive: ${messageOf(error)}`);
    if (!failing.has(path))
      log.warn({ ...toFields(each), error: messageOf(error) }, "discovery record cannot be kept alive");
    failing.add(path);
  }
}

async function keepAlive(
  path: string,
  each: OwnRecord,
  { own, isInHand, buckets, opened, tokens, pulse, log, now }: Beat,
): Promise<void> {
  const [bucket, name] = [bucketOf(each.record), basename(path)];
  const text = toFileText(each.record, tokens());
  let notice: string | undefined = "discovery record was gone and has been published again";
  const directory = await opened.get(bucket);
  try {
    const found = await directory.at(name, (at) => touchFile(at, text, now()));
    if (found === text) return;
    // Another token signs now: that is no change of anybody else's.
    notice =
      found === each.text ? undefined : "discovery record was changed by somebody else and has been published again";
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  if (isInHand(path) || own.get(path) !== each) return;
  await using current = await buckets.open(bucket); // whoever has taken the record away may have exchanged its bucket
  await current.at(name, (at) => writeOwn({ at, path, text, pulse }));
  each.text = text;
  if (notice !== undefined) log.warn(toFields(each), notice);
}

function toFields({ record }: OwnRecord): Fields {
  return { bucket: bucketOf(record), key: recordKey(record) };
}
