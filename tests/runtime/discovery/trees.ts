// Discovery directories made by hand, with what others may have put in them.
import type { Stats } from "node:fs";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { directorySteps, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import { encodeFileName } from "../../../packages/runtime/src/discovery/record-file.ts";
import { formatRecord, recordKey, type DiscoveryRecord } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { namedPath, record, type FileSpace } from "./spaces.ts";

/** No user of this machine. */
export const stranger: number = 4_242_424;

/** A directory below the space's, with everything that discovery makes in one, and open to nobody else. */
export async function makeTree(space: FileSpace, name = "kv"): Promise<string> {
  const kv = join(space.root, name);
  for (const part of ["", "v1", "v1/instances", "v1/mdc"]) await mkdir(join(kv, part), { mode: 0o700 });
  return kv;
}

/** Somebody's files, as old as can be. */
export async function makeDocuments(space: FileSpace): Promise<string> {
  const documents = join(space.root, "documents");
  await mkdir(join(documents, "letters"), { recursive: true });
  for (const name of ["thesis.txt", ".tmp_notes", "letters/one"]) {
    await writeFile(join(documents, name), "precious");
    await utimes(join(documents, name), 1, 1);
  }
  return documents;
}

export async function writeOld(bucket: string, name: string, text: string): Promise<void> {
  await writeFile(join(bucket, name), text);
  await utimes(join(bucket, name), 1, 1);
}

export function fileOf(what: DiscoveryRecord): string {
  return encodeFileName(recordKey(what));
}

/** The steps of the system, which say of some paths that they belong to somebody else. */
export function owning(uidOf: (path: string) => number | undefined): DirectorySteps {
  const told = (path: string, found: Stats): Stats =>
    Object.assign(found, { uid: uidOf(namedPath(path)) ?? found.uid });
  return {
    ...directorySteps,
    stat: async (path) => told(path, await directorySteps.stat(path)),
    statDirectory: async (path) => told(path, await directorySteps.statDirectory(path)),
    async hold(path) {
      const held = await directorySteps.hold(path);
      told(path, held.found);
      return held;
    },
  };
}

/** One more record is seen, so a look that began after this has ended. */
export async function lookAround(
  space: FileSpace,
  kv: string,
  watch: { readonly records: ReadonlyMap<string, unknown> },
  id: bigint,
): Promise<void> {
  await writeFile(join(kv, "v1/instances", fileOf(record(id))), formatRecord(record(id)));
  await eventually(`record ${id} (${JSON.stringify(space.lines)})`, () => watch.records.has(recordKey(record(id))));
}
