// Clocks of machines differ, and may be set while a request runs: that is told, to the right address, and is no fault.
import { describe, expect, test } from "vitest";
import { toRows } from "../../packages/lineage/src/show/rows.ts";
import { isWorker, problemsOf, readRecording, shift, trace, type RecordedLine } from "./recordings.ts";

test("a clock that is off by an hour is a note", async () => {
  for (const ms of [3_600_000, -3_600_000]) {
    const lines = readRecording("stream").map((line) =>
      isWorker(line) ? { ...line, fields: { ...line.fields, time: shift(line.fields["time"], ms) } } : line,
    );
    const traced = await trace("stream", lines);
    expect(traced.isWhole).toBe(true);
    expect(problemsOf(traced)).toMatch(
      new RegExp(
        `^note instance \\d+ lies 3600 s ${ms > 0 ? "after" : "before"} its attempt 0 at \\d+: their clocks differ`,
      ),
    );
  }
});

describe("a clock that is set while a request runs is a note about that process, and no machine is blamed:", () => {
  const minute = 60_000;

  /** Lines of one side from its last so many on have a time that is off. */
  function setClock(
    lines: readonly RecordedLine[],
    side: "frontend" | "worker",
    ms: number,
    last: number,
  ): RecordedLine[] {
    const own = lines.filter((line) => isWorker(line) === (side === "worker"));
    const late = new Set(own.slice(-last));
    return lines.map((line) =>
      late.has(line) ? { ...line, fields: { ...line.fields, time: shift(line.fields["time"], ms) } } : line,
    );
  }

  test.each(["stream", "info-stream", "unary", "info-unary"])("%s", async (name) => {
    for (const ms of [minute, -minute]) {
      for (const last of [1, 2]) {
        const traced = await trace(
          name,
          setClock(setClock(readRecording(name), "frontend", ms, last), "worker", ms, 1),
        );
        const how = ms > 0 ? "ahead" : "back";
        expect(
          problemsOf(traced)
            .replaceAll(/\d{16,}/g, "7")
            .replaceAll(/(?:59|60)\.\d s/g, "60 s")
            .split("\n"),
        ).toEqual([
          `note the clock of the frontend was set ${how} by about 60 s while the request ran, so durations were compared`,
          `note the clock of instance 7 was set ${how} by about 60 s while it worked, so durations were compared`,
        ]);
        expect(traced.isWhole).toBe(true);
      }
    }
  });

  test("bars stay within the request", async () => {
    for (const name of ["failover", "info-failover", "disaggregated"]) {
      for (const ms of [minute, -minute]) {
        const { trees } = await trace(name, setClock(readRecording(name), "frontend", ms, 1));
        const rows = trees.flatMap((tree) => toRows(tree));
        const total = rows[0]?.durationMs ?? 0;
        expect(rows.length).toBeGreaterThan(4);
        for (const { startMs, endMs = startMs } of rows) {
          expect(startMs).toBeGreaterThan(-minute / 2);
          expect(endMs).toBeLessThan(total + minute / 2);
        }
      }
    }
  });

  test("after the worker was done", async () => {
    const traced = await trace("info-stream", setClock(readRecording("info-stream"), "frontend", minute, 1));
    expect(problemsOf(traced)).toMatch(
      /^note the clock of the frontend was set ahead by about \S+ s while the request ran, so durations were compared$/,
    );
  });
});
