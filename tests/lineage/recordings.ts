/** Recorded requests: lines of real processes, one folder per request, one file per process, trimmed to that request. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { root } from "../support/cluster.ts";

/** A line of a log, parsed. */
export type Fields = Record<string, unknown>;

export interface RecordedLine {
  readonly file: string;
  readonly fields: Fields;
}

const directory = join(root, "tests/golden/lineage");

/** Names of all recordings. */
export const recordings: readonly string[] = readdirSync(directory);

/** The lines of one recording, file by file. */
export function readRecording(name: string): RecordedLine[] {
  const files = readdirSync(join(directory, name));
  return files.flatMap((file) =>
    readFileSync(join(directory, name, file), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => ({ file, fields: JSON.parse(line) as Fields })),
  );
}

/** True for the lines that make a lineage; the others only mention a request. */
export function isLifecycle({ fields }: RecordedLine): boolean {
  const { target, message } = fields;
  return (
    ["dyn_frontend::request_log", "dyn_runtime::ingress::push_handler", "request_span"].includes(String(target)) ||
    message === "request refused"
  );
}

/** All of `lines` as the bytes of one log. */
export function toBytes(lines: readonly Pick<RecordedLine, "fields">[]): Buffer {
  return Buffer.from(lines.map(({ fields }) => `${JSON.stringify(fields)}\n`).join(""));
}

export interface Traced {
  readonly trees: readonly RequestTree[];
  readonly isWhole: boolean;
  readonly remarks: readonly string[];
}

/** What `dyn-frontend trace ID -` says of `bytes`. */
export async function traceBytes(id: string, bytes: Uint8Array, limit = 10): Promise<Traced> {
  return traceFiles(id, ["-"], { bytes, limit });
}

/** What `dyn-frontend trace ID FILES…` says; `bytes` are its standard input. */
export async function traceFiles(
  id: string,
  files: readonly string[],
  { bytes = new Uint8Array(), limit = 10 }: { bytes?: Uint8Array; limit?: number } = {},
): Promise<Traced> {
  const [printed, remarks]: [string[], string[]] = [[], []];
  const isWhole = await traceRequests({
    id,
    files,
    json: true,
    limit,
    columns: 100,
    color: false,
    input: Readable.from([bytes]),
    print: (text) => printed.push(text),
    remark: (text) => remarks.push(text),
  });
  return { trees: printed.map((text) => JSON.parse(text) as RequestTree), isWhole, remarks };
}

/** The texts of all problems, one per line. */
export function problemsOf({ trees }: Traced): string {
  return trees.flatMap(({ problems }) => problems.map(({ kind, message }) => `${kind} ${message}`)).join("\n");
}

/** What becomes of the fields of a line. */
export type Change = (fields: Fields) => Fields;

/** True for lines of a worker about a request. */
export function isWorker({ fields }: RecordedLine): boolean {
  return fields["span_name"] === "handle_payload";
}

/** Change the lines whose message and side are given. */
export function change(
  lines: readonly RecordedLine[],
  side: "frontend" | "worker",
  message: string,
  how: Change,
): RecordedLine[] {
  return lines.map((line) => {
    const isMeant = isWorker(line) === (side === "worker") && line.fields["message"] === message;
    return isMeant ? { ...line, fields: how(line.fields) } : line;
  });
}

/** Add fields, or replace them. */
export function set(more: Fields): Change {
  return (fields) => ({ ...fields, ...more });
}

/** A time so many ms later. */
export function shift(time: unknown, ms: number): string {
  return new Date(Date.parse(String(time)) + ms).toISOString().replace("Z", "000Z");
}

/** What `dyn-frontend trace` says of the recording `name` if it is `lines`. */
export function trace(name: string, lines: readonly RecordedLine[]): Promise<Traced> {
  const isClientId = lines.some(({ fields }) => fields["x_request_id"] === name);
  return traceBytes(isClientId ? name : String(lines[0]?.fields["request_id"]), toBytes(lines));
}
