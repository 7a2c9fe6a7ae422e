/** A directory for what is found; gone afterwards, unless somebody is to read it. */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Directory extends AsyncDisposable {
  readonly path: string;
  /** It stays. */
  keep(): void;
}

/** Make an empty directory; removed when disposed, or by `process.exit`. */
export async function openDirectory(prefix: string): Promise<Directory> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const removeAtOnce = (): void => rmSync(path, { recursive: true, force: true });
  process.once("exit", removeAtOnce);
  let isKept = false;
  return {
    path,
    keep() {
      isKept = true;
      process.off("exit", removeAtOnce);
    },
    async [Symbol.asyncDispose]() {
      process.off("exit", removeAtOnce);
      if (!isKept) await rm(path, { recursive: true, force: true });
    },
  };
}
