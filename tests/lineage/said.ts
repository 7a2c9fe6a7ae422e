// What `dyn-frontend trace` says of a log, as a user reads it.
import { Readable } from "node:stream";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { toBytes, type Fields } from "./recordings.ts";

export interface Said {
  /** All of it, as one text. */
  readonly text: string;
  readonly remarks: string;
  readonly isWhole?: boolean;
  readonly refusal?: unknown;
}

/** `chunks` are its standard input. */
export async function say(id: string, chunks: readonly Uint8Array[], json: boolean): Promise<Said> {
  const [printed, remarks]: [string[], string[]] = [[], []];
  const options = { id, files: ["-"], json, limit: 30, columns: 100, color: false, input: Readable.from(chunks) };
  try {
    const isWhole = await traceRequests({
      ...options,
      print: (text) => printed.push(text),
      remark: (text) => remarks.push(text),
    });
    return { text: printed.join(""), remarks: remarks.join("\n"), isWhole };
  } catch (refusal) {
    return { text: "", remarks: remarks.join("\n"), refusal };
  }
}

/** All trees that it finds in `lines`. */
export async function readTrees(id: string, lines: readonly Fields[]): Promise<RequestTree[]> {
  const { text } = await say(id, [toBytes(lines.map((fields) => ({ fields })))], true);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RequestTree);
}

/** One a line. */
export function problemsOf({ problems }: RequestTree): string {
  return problems.map(({ kind, message }) => `${kind} ${message}`).join("\n");
}
