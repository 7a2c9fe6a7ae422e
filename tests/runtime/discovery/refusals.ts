// A file system that refuses single steps of discovery, and what is asked of one.
import { join } from "node:path";
import { directorySteps, type DirectorySteps } from "../../../packages/runtime/src/discovery/directory.ts";
import type { DiscoveryBackend } from "../../../packages/runtime/src/discovery/discovery.ts";
import { encodeFileName } from "../../../packages/runtime/src/discovery/record-file.ts";
import { recordKey, type DiscoveryRecord } from "../../../packages/runtime/src/discovery/records.ts";
import { eventually } from "../../support/cluster.ts";
import { namedPath, record, type FileSpace, type Follower } from "./spaces.ts";

type Refusal = (path: string) => Error | undefined;

// The steps of the system, but those that `refusals` speak against. What changes are about is not told, so that each look is at everything.
export function refusing(refusals: Partial<Record<keyof DirectorySteps, Refusal>>): DirectorySteps {
  const check = (step: keyof DirectorySteps, path: string): void => {
    const error = refusals[step]?.(namedPath(path));
    if (error) throw error;
  };
  const guard =
    <Rest extends unknown[], Result>(
      step: keyof DirectorySteps,
      take: (path: string, ...rest: Rest) => Promise<Result>,
    ) =>
    async (path: string, ...rest: Rest): Promise<Result> => {
      check(step, path);
      return take(path, ...rest);
    };
  return {
    watch(path, onEvent) {
      check("watch", path);
      return directorySteps.watch(path, (event) => onEvent(event, null));
    },
    list: guard("list", directorySteps.list),
    stat: guard("stat", directorySteps.stat),
    read: guard("read", directorySteps.read),
    remove: guard("remove", directorySteps.remove),
    statDirectory: guard("statDirectory", directorySteps.statDirectory),
    hold: guard("hold", directorySteps.hold),
    make: guard("make", directorySteps.make),
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
export async function expectAnotherLook(owner: DiscoveryBackend, seen: Follower, id: bigint): Promise<void> {
  await owner.publish(record(id));
  await eventually(`record ${id}`, () => seen.records.has(recordKey(record(id))));
}
