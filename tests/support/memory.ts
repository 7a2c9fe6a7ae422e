/** What a process uses. */
import { readFileSync } from "node:fs";

/** Resident memory of a process now, MiB; undefined where the system does not say. Source: proc(5), VmRSS. */
export function residentMib(pid: number): number | undefined {
  return readMib(pid, "VmRSS");
}

/** The most that it ever was, MiB. Source: proc(5), VmHWM. */
export function peakMib(pid: number): number | undefined {
  return readMib(pid, "VmHWM");
}

function readMib(pid: number, name: string): number | undefined {
  try {
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;
  } catch {
    return undefined; // no Linux, or no such process
  }
}
