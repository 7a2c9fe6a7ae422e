/** Statuses that an engine may have a client see, and the codes that stand for them. */
import { isErrorCode, type ErrorCode } from "@dyn/runtime";
import { errorTable, workerCodes } from "@dyn/runtime/internal";

/** The first code of each status. */
export const statuses: ReadonlyMap<number, ErrorCode> = new Map(
  [...workerCodes].toReversed().map((code) => [errorTable[code].status, code] as const),
);

/** A code that an engine may say. */
export function isWorkerCode(code: unknown): code is ErrorCode {
  return isErrorCode(code) && workerCodes.has(code);
}
