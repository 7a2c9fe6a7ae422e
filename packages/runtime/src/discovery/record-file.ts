/** One record as a file: its name, how it gets there as a whole, and how it is read back. */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { link, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import {
  checkIsFile,
  checkRecordSize,
  isMissing,
  maxRecordBytes,
  messageOf,
  type DirectorySteps,
} from "./directory.ts";
import type { OpenDirectory } from "./open-directory.ts";
import { bucketOf, formatRecord, parseRecord, recordKey, type DiscoveryRecord } from "./records.ts";
import { findBadSignature, signRecord } from "./signature.ts";
import { isOwnFile } from "./trust.ts";

/** True for the name of a file that is still being written. Dynamo's have it, too. */
export function isTemporary(name: string): boolean {
  return /^\.tmp_[0-9a-f]{16}$/.test(name);
}

/** Percent-encode every byte that is not A-Z a-z 0-9, as Dynamo does (`encodeURIComponent` leaves more). */
export function encodeFileName(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

/** @returns undefined for a name that is not valid percent-encoding. */
export function decodeFileName(name: string): string | undefined {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined; // foreign file: not a record
  }
}

/** The text of a record, signed if there is a token. */
export function toFileText(record: DiscoveryRecord, tokens: Tokens | undefined): string {
  return signRecord(formatRecord(record), `${bucketOf(record)}/${recordKey(record)}`, tokens);
}

/** Write a record into its bucket, which is there: readers see the whole of it or nothing. */
export async function writeRecord(path: string, text: string): Promise<void> {
  checkRecordSize(Buffer.byteLength(text));
  // tmp + link: rewriting in place would be missed by Dynamo's watcher.
  const temporary = join(dirname(path), `.tmp_${randomBytes(8).toString("hex")}`);
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await putInPlace(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // whoever lists the directory sweeps it
    throw error;
  }
}

async function putInPlace(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch {
    return rename(temporary, path); // it is there already, or this file system has no links
  }
  await rm(temporary).catch(() => undefined); // the record is there; whoever lists the directory sweeps the rest
}

/** A file as it was last looked at. */
export interface KnownFile {
  /** Undefined if it is no record of ours to use. */
  readonly record: DiscoveryRecord | undefined;
  /** It is not read again while this is the same; undefined = it is, at every look. */
  readonly version: string | undefined;
  /** Wall times, ms, between which its owner is known to live: until then nobody needs to look whether it still does. */
  readonly alive?: { readonly from: number; readonly until: number };
  /** What was said to be wrong with it. */
  readonly fault?: string;
}

/** By what a file is judged. */
export interface ReadOptions {
  /** A record whose mtime is older is dead, ms. */
  readonly ttlMs: number;
  /** Wall clock in ms. */
  readonly now: () => number;
  readonly log: Logger;
  readonly steps: DirectorySteps;
  /** Only what one of them has signed is a record to use; undefined = no signature is asked for. */
  readonly tokens: () => Tokens | undefined;
}

/** Look at a file, and read it unless it is as it was `before`; what a dead process has left is removed. Never rejects: no file costs another anything.
 *  @returns undefined for what is not there (any more), and for what is still being written. */
export async function readRecordFile(
  directory: OpenDirectory,
  name: string,
  before: KnownFile | undefined,
  options: ReadOptions,
): Promise<KnownFile | undefined> {
  const { steps, ttlMs } = options;
  const from = options.now(); // before the look: a process that is stopped in between must not take those for dead that live
  const found = await directory
    .at(name, steps.stat)
    .catch((error: unknown) => toFaulty(join(directory.path, name), before, error, options));
  if (!found || !("isFile" in found)) return found;
  const isDead = from - found.mtimeMs > ttlMs;
  if (isTemporary(name)) return isDead && isOwnFile(found) ? removeDead(directory, name, before, options) : undefined;
  const version = `${found.ino}:${found.size}`;
  const brokenVersion = `${version}:${found.ctimeMs}`; // whoever mends it, or its permissions, changes that
  if (before?.version === brokenVersion) return before;
  const alive = { from, until: Math.min(found.mtimeMs, from) + ttlMs };
  const isKnown = !isDead && before?.version === version; // what is removed is read first, whatever it was once
  const file = isKnown
    ? { ...before, alive }
    : await readAnew(directory, name, found, before, { version, brokenVersion, alive, ...options });
  if (!isDead) return file;
  return file?.version === version
    ? removeDead(directory, name, before, options)
    : file && { ...file, record: undefined };
}

interface AnewOptions extends ReadOptions, Required<Pick<KnownFile, "alive">> {
  /** Of a file that is a record. */
  readonly version: string;
  readonly brokenVersion: string;
}

// Never rejects. Only what is a record has `version` then.
async function readAnew(
  directory: OpenDirectory,
  name: string,
  found: Stats,
  before: KnownFile | undefined,
  options: AnewOptions,
): Promise<KnownFile | undefined> {
  const { version, brokenVersion, alive, steps, tokens } = options;
  const path = join(directory.path, name);
  let text = "";
  try {
    if (found.isFile() && found.size <= maxRecordBytes) text = await directory.at(name, steps.read);
  } catch (error) {
    return toFaulty(path, before, error, options, { record: before?.record, version: undefined }); // its owner may live
  }
  try {
    checkIsFile(found);
    checkRecordSize(found.size);
    const record = parseRecord(text);
    const key = recordKey(record);
    // Removal is known by the name alone, so name and content must agree.
    if (key !== decodeFileName(name)) throw new Error(`its content belongs to key ${key}`);
    const bad = findBadSignature(text, `v1/${basename(directory.path)}/${key}`, tokens());
    // A record all the same, which is removed when it is dead.
    return bad === undefined
      ? { record, version, alive }
      : toFaulty(path, before, new Error(bad), options, { record: undefined, version, alive });
  } catch (error) {
    return toFaulty(path, before, error, options, { record: undefined, version: brokenVersion });
  }
}

// A record, or one that was being written; its owner is dead. Whoever notices sweeps, as in Dynamo.
async function removeDead(
  directory: OpenDirectory,
  name: string,
  before: KnownFile | undefined,
  { steps, log }: ReadOptions,
): Promise<KnownFile | undefined> {
  try {
    await directory.at(name, steps.remove);
  } catch (error) {
    const [path, fault] = [join(directory.path, name), messageOf(error)];
    if (before?.fault !== fault)
      log.summed("warn", { path, error: fault }, "left-over discovery file cannot be removed");
    return { record: undefined, version: undefined, fault };
  }
  if (!isTemporary(name))
    log.summed(
      "info",
      { bucket: `v1/${basename(directory.path)}`, key: decodeFileName(name) ?? name },
      "expired discovery record removed",
    );
  return undefined;
}

const unread = { record: undefined, version: undefined };

// Said once per file and reason.
function toFaulty(
  path: string,
  before: KnownFile | undefined,
  error: unknown,
  { log }: ReadOptions,
  known: Omit<KnownFile, "fault"> = unread,
): KnownFile | undefined {
  if (isMissing(error)) return undefined; // its owner has removed or renamed it meanwhile
  const fault = messageOf(error);
  if (before?.fault !== fault) log.summed("warn", { path, error: fault }, "discovery record ignored");
  return { ...known, fault };
}
