// Following requests by id through real processes: the command on their logs, and the route on a running frontend.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import { eventually, startProgram, type Cluster, type Program } from "../support/cluster.ts";

export interface Traced {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** `dyn-frontend trace`. */
export async function run(...args: string[]): Promise<Traced> {
  await using program = startProgram("dyn-frontend", ["trace", ...args]);
  const code = await program.exited;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** The same without a process. */
export async function traceHere(id: string, files: readonly string[]): Promise<Traced> {
  const [printed, remarks]: [string[], string[]] = [[], []];
  const print = (text: string): void => void printed.push(text);
  const remark = (text: string): void => void remarks.push(text);
  const isWhole = await traceRequests({
    id,
    files,
    json: false,
    limit: 10,
    columns: 100,
    color: false,
    input: Readable.from([]),
    print,
    remark,
  });
  return { code: isWhole ? 0 : 1, stdout: printed.join(""), stderr: remarks.join("\n") };
}

/** What all processes have written so far, one file each. */
export async function saveLogs({ directory, frontend, workers }: Cluster): Promise<string[]> {
  const programs = [frontend, ...workers];
  const files = programs.map((_, index) => join(directory, index === 0 ? "frontend.jsonl" : `worker-${index}.jsonl`));
  await Promise.all(programs.map((program, index) => writeFile(files[index] ?? "", program.stderr())));
  return files;
}

export function hasLine(program: Program | undefined, xRequestId: string, message: string): boolean {
  return program?.lines().some((line) => line["x_request_id"] === xRequestId && line["message"] === message) ?? false;
}

export function completed(programs: readonly (Program | undefined)[], xRequestId: string): Promise<unknown> {
  return eventually(`the completion of ${xRequestId}`, () =>
    programs.every((program) => hasLine(program, xRequestId, "request completed")),
  );
}

export async function getRequest(url: string, id: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/v1/requests/${encodeURIComponent(id)}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
