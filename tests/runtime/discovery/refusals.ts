// A file system that refuses single steps of discovery, and what is asked of one.
import { join } from "node:path";
import { directorySteps, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import type { Discovery } from "../../../packages/runtime/src/discovery/discovery.ts";
import { encodeFileName } from "../../../packages/runtime/src/discovery/record-file.ts";
import { recordKey, type DiscoveryRecord } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { record, type FileSpace, type Follower } from "./spaces.ts";

type Refusal = (path: string) => Error | undefined;

// The steps of the system, but those that `refusals` speak against. What changes are about is not told, so that each look is at everything.
export function refusing(refusals: Partial<Record<keyof DirectorySteps, Refusal>>): DirectorySteps {
  const check = (step: keyof DirectorySteps, path: string): void => {
    const error = refusals[step]?.(path);
    if (error) throw error;
  };
  return {
    watch(path, onEvent) {
      check("watch", path);
      return directorySteps.watch(path, (event) => onEvent(event, null));
    },
    async list(path) {
      check("list", path);
      return directorySteps.list(path);
    },
    async stat(path) {
      check("stat", path);
      return directorySteps.stat(path);
    },
    async read(path) {
      check("read", path);
      return directorySteps.read(path);
    },
    async remove(path) {
      check("remove", path);
      return directorySteps.remove(path);
    },
    async statDirectory(path) {
      check("statDirectory", path);
      return directorySteps.statDirectory(path);
    },
    async make(path, mode) {
      check("make", path);
      return directorySteps.make(path, mode);
    },
  };
}

export function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: refused`), { code });
}

export function pathOf(space: FileSpace, what: DiscoveryRecord): string {
  return join(space.root, "v1/instances", encodeFileName(recordKey(what)));
}

export function said(space: FileSpace, message: string): Record<string, unknown>[] {
  return space.lines.filter((line) => line["message"] === message);
}

// Whatever is seen of a record that comes now has been seen in a look that began after it.
export async function expectAnotherLook(owner: Discovery, seen: Follower, id: bigint): Promise<void> {
  await owner.publish(record(id));
  await eventually(`record ${id}`, () => seen.records.has(recordKey(record(id))));
}
