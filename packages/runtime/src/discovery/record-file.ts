/** One record as a file: its name, how it gets there as a whole, and how it is read back. */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Logger } from "../logging/logger.ts";
import { formatRecord, parseRecord, recordKey, type DiscoveryRecord } from "./records.ts";

const temporaryPrefix = ".tmp_";

/** True for the name of a file that is still being written. */
export function isTemporary(name: string): boolean {
  return name.startsWith(temporaryPrefix);
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

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Write a record: readers see the whole of it or nothing. */
export async function writeRecord(path: string, record: DiscoveryRecord): Promise<void> {
  // tmp + link: rewriting in place would be missed by Dynamo's watcher.
  const directory = join(path, "..");
  await mkdir(directory, { recursive: true });
  const temporary = join(directory, `${temporaryPrefix}${randomBytes(8).toString("hex")}`);
  await writeFile(temporary, formatRecord(record), { flag: "wx" });
  try {
    await link(temporary, path);
    await unlink(temporary);
  } catch {
    await rename(temporary, path); // it is there already, or this file system has no links
  }
}

/** A file as it was last read. */
export interface KnownFile {
  /** Undefined if it is no record of ours to use. */
  readonly record: DiscoveryRecord | undefined;
  readonly version: string;
}

export interface ReadOptions {
  /** A record whose mtime is older is dead, ms. */
  readonly ttlMs: number;
  /** Wall clock in ms. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Read a file unless it is as it was `before`; a dead record is removed. @returns undefined for what is not there (any more). */
export async function readRecordFile(
  directory: string,
  name: string,
  before: KnownFile | undefined,
  { ttlMs, now, log }: ReadOptions,
): Promise<KnownFile | undefined> {
  const path = join(directory, name);
  let version = "unreadable";
  try {
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    if (now() - found.mtimeMs > ttlMs) {
      await rm(path, { force: true }); // its owner is dead: whoever notices sweeps, as in Dynamo
      log.info({ bucket: `v1/${basename(directory)}`, key: decodeFileName(name) ?? name }, "expired discovery record removed");
      return undefined;
    }
    version = `${found.ino}:${found.size}`;
    if (before?.version === version) return before;
    const record = parseRecord(await readFile(path, "utf8"));
    // Removal is known by the name alone, so name and content must agree.
    if (recordKey(record) !== decodeFileName(name)) throw new Error(`its content belongs to key ${recordKey(record)}`);
    return { record, version };
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (before?.version !== version) log.warn({ path, error: error instanceof Error ? error.message : error }, "discovery record ignored");
    return { record: undefined, version };
  }
}
