/** What a process uses. */
import { readFileSync } from "node:fs";

/** Resident memory of a process now, MiB; undefined where the system does not say. Source: proc(5), VmRSS. */
export function residentMib(pid: number): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;
  } catch {
    return undefined; // no Linux, or no such process
  }
}
