/** What became of every request: what its client got, and what all processes have logged of it. Keeps only requests that are not settled. */
import { appendFile } from "node:fs/promises";
import { isRequestLine, parseLine, textOf, type LogLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { judge, type Fault, type Finding } from "./answers.ts";
import type { Ask } from "./asks.ts";
import type { Reply } from "./client.ts";

export interface Ledger {
  readonly counts: Readonly<Record<Fault | "asked" | "answered" | "left" | "failedOver", number>>;
  readonly open: number;
  /** The first findings, with the request's id. */
  readonly findings: readonly string[];
  /** A line of any process. */
  line(text: string, process: string): void;
  /** Something is wrong that belongs to no request. */
  note(fault: Fault, why: string): void;
  /** Send it, and look at what comes back. Never rejects. */
  follow(ask: Ask, send: (ask: Ask) => Promise<Reply>): Promise<void>;
  /** Settle what is left: no line will come any more. */
  close(): Promise<void>;
}

export interface LedgerOptions {
  /** Requests with findings are written there, with all their lines. */
  readonly file: string;
  readonly now: () => number;
}

interface Entry {
  readonly ask: Ask;
  readonly lines: LogLine[];
  readonly texts: string[];
  reply: Reply | undefined;
  /** Its client has no more to say. */
  answeredAt: number;
}

/** Lines of other processes may come later than the answer, and those of a stopped worker much later. */
const settleMs = 15_000;
const maxFindings = 20;

export function createLedger({ file, now }: LedgerOptions): Ledger {
  const counts = { asked: 0, answered: 0, left: 0, failedOver: 0, failed: 0, lost: 0, duplicated: 0, mismatched: 0 };
  const entries = new Map<string, Entry>();
  const findings: string[] = [];
  let writes = Promise.resolve();
  const note = (fault: Fault, why: string, entry?: Entry): void => {
    counts[fault] += 1;
    const id = entry?.ask.id ?? "";
    if (findings.length < maxFindings) findings.push(`${fault} ${id}: ${why}`);
    const record = {
      fault,
      why,
      ask: entry?.ask,
      reply: entry?.reply,
      lines: entry?.texts.map((text) => JSON.parse(text) as unknown),
    };
    writes = writes.then(() => appendFile(file, `${JSON.stringify(record)}\n`));
  };
  const settle = (entry: Entry): void => {
    entries.delete(entry.ask.id);
    if (entry.lines.some(({ event, fields }) => event === "request completed" && Number(fields["attempts"]) > 1))
      counts.failedOver += 1;
    for (const { fault, why } of checkLines(entry)) note(fault, why, entry);
  };
  // In the order in which they were asked: an old one that is open holds no other.
  const settleOld = (at: number): void => {
    for (const entry of entries.values()) if (entry.answeredAt + settleMs < at) settle(entry);
  };
  return {
    counts,
    findings,
    get open() {
      return counts.asked - counts.answered - counts.left;
    },
    line(text, process) {
      const line = parseLine(text, `${process}:0`);
      const id = line?.fields["x_request_id"];
      const entry = typeof id === "string" ? entries.get(id) : undefined;
      if (!line || !entry) return;
      entry.lines.push(line);
      entry.texts.push(text);
    },
    note: (fault, why) => note(fault, why),
    async follow(ask, send) {
      const entry: Entry = { ask, lines: [], texts: [], reply: undefined, answeredAt: Number.POSITIVE_INFINITY };
      entries.set(ask.id, entry);
      counts.asked += 1;
      try {
        const reply = await send(ask);
        entry.reply = reply;
        const finding = checkReply(ask, reply);
        if (finding) note(finding.fault, finding.why, entry);
        entry.reply = { ...reply, raw: "" }; // may be megabytes
      } catch (error) {
        note("failed", `no answer: ${String(error)}`, entry);
      }
      if (ask.manner === "leaves") counts.left += 1;
      else counts.answered += 1;
      entry.answeredAt = now();
      settleOld(entry.answeredAt);
    },
    async close() {
      settleOld(Number.POSITIVE_INFINITY);
      await writes;
    },
  };
}

function checkReply(ask: Ask, { status, raw, xRequestId }: Reply): Finding | undefined {
  if (xRequestId !== ask.id) return { fault: "mismatched", why: `x-request-id ${String(xRequestId)}` };
  if (ask.manner === "leaves")
    return status === 200 ? undefined : { fault: "failed", why: `status ${status}: ${raw.slice(0, 500)}` };
  try {
    return judge(ask, status, raw);
  } catch (error) {
    return { fault: "mismatched", why: `not understood: ${String(error)}: ${raw.slice(0, 200)}` };
  }
}

// Each request is received and completed once, and no line contradicts another. A killed worker's lines may be missing.
function checkLines({ ask, lines, reply }: Entry): Finding[] {
  const count = (event: LogLine["event"]): number => lines.filter((line) => line.event === event).length;
  const [received, completed] = [count("request received"), count("request completed")];
  if (received > 1 || completed > 1)
    return [{ fault: "duplicated", why: `received ${received} times, completed ${completed} times` }];
  if (received === 0 || completed === 0)
    return [{ fault: "lost", why: `received ${received} times, completed ${completed} times, by the frontends' logs` }];
  const status = lines.find(({ event }) => event === "request completed")?.fields["status"];
  const wanted = ask.manner === "leaves" ? ["cancelled", "success"] : ["success"];
  const findings: Finding[] = [];
  if (reply?.status === 200 && !wanted.includes(String(status))) {
    findings.push({ fault: "mismatched", why: `completed with status ${String(status)} in the log` });
  }
  const requestIds = new Set(lines.filter(isRequestLine).flatMap((line) => textOf(line, "request_id") ?? []));
  const { trees } = rebuildTrees(lines, requestIds);
  if (trees.length === 0) findings.push({ fault: "lost", why: "no line of the frontend has a request_id" });
  for (const { kind, message } of trees.flatMap(({ problems }) => problems)) {
    if (kind === "contradiction") findings.push({ fault: "mismatched", why: message });
  }
  return findings;
}
