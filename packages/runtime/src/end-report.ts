/** What became of the requests that were running when a process began to end: for its last line. */
import { roundMs } from "./durations.ts";

/** What became of the requests that were running when an end began. */
export interface EndReport {
  /** So many were `running`, or so many of those were `cut`; the others ended by themselves. */
  count(requests: { readonly running: number; readonly cut: number }): void;
  /** For the last line; undefined if nothing was ever counted. */
  facts(begunAt: number): { readonly elapsed_ms: number; readonly finished: number; readonly cut: number } | undefined;
}

/** Create an empty report. */
export function createEndReport(now: () => number): EndReport {
  let counted: { finished: number; cut: number } | undefined;
  return {
    count({ running, cut }) {
      counted ??= { finished: 0, cut: 0 };
      counted.finished += running - cut;
      counted.cut += cut;
    },
    facts: (begunAt) =>
      counted && {
        elapsed_ms: roundMs(now() - begunAt),
        finished: Math.max(0, counted.finished),
        cut: counted.cut,
      },
  };
}
