/** Files with secrets, which only this user should be able to read or change. */
import { stat } from "node:fs/promises";
import type { Logger } from "../logging/logger.ts";

/** What a file says of itself, as `stat` has it. */
export interface FileRights {
  readonly mode: number;
  readonly uid: number;
}

/** True if others than the user `own` may read or change it. A group may read a file of root: so secrets are mounted for users that are not root.
 *  PostgreSQL has the same rule, in check_ssl_key_file_permissions of be-secure-common.c. */
export function isExposed({ mode, uid }: FileRights, own: number | undefined): boolean {
  if (own === undefined) return false; // where modes say nothing, as on Windows
  const rights = uid === 0 && own !== 0 ? 0o026 : 0o066;
  return (mode & rights) !== 0;
}

/** Say so of each of these files, once for each mode that it is found with. What cannot be looked at is somebody else's to tell. */
export async function warnOfExposed(paths: readonly string[], log: Logger): Promise<void> {
  const own = process.geteuid?.();
  for (const path of paths) {
    const rights = await stat(path).catch(() => undefined);
    if (!rights || !isExposed(rights, own)) continue;
    const mode = (rights.mode & 0o777).toString(8).padStart(4, "0");
    log.warnOnce(
      { path, mode },
      "others can read or change a file with secrets: give it mode 0600, or 0640 if it belongs to root",
    );
  }
}
