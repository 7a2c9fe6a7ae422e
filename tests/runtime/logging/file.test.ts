// A log in a file on a disk that is full for a while: lines are lost, none is spoilt, and the log says how many there were.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createFileOutput } from "../../../packages/runtime/src/logging/output.ts";
import { openLogWriter, type LogWriter } from "../../../packages/runtime/src/logging/writer.ts";
import type { Line } from "../../support/cluster.ts";
import { writeLine } from "../../support/logger.ts";

/** A disk with room for so many bytes more. It takes what fits and refuses the rest, as a real one does. */
class Disk {
  room = Number.POSITIVE_INFINITY;
  #bytes: number[] = [];

  write = (bytes: Uint8Array): number => {
    const taken = Math.min(bytes.length, this.room);
    if (taken === 0) throw new Error("ENOSPC: no space left on device, write");
    this.#bytes.push(...bytes.subarray(0, taken));
    this.room -= taken;
    return taken;
  };

  /** Whole lines, parsed, and what is left of those that were cut. */
  read(): { lines: Line[]; pieces: string[] } {
    const [lines, pieces]: [Line[], string[]] = [[], []];
    for (const text of Buffer.from(this.#bytes).toString().split("\n")) {
      if (text.endsWith("}")) lines.push(JSON.parse(text) as Line);
      else if (text !== "") pieces.push(text);
    }
    return { lines, pieces };
  }
}

function openWriter(disk: Disk): LogWriter {
  return openLogWriter({ jsonl: true, output: createFileOutput(disk.write), now: () => 0 });
}

test("after a full disk the line that was cut stands by itself, and a notice says how many lines were lost, and why", async () => {
  const disk = new Disk();
  using writer = openWriter(disk);
  const write = (...numbers: number[]): void =>
    numbers.forEach((number) => writer.write(writeLine({ number }, "line")));
  write(1);
  await writer.flush(1_000);
  disk.room = 120; // one line and a piece of the next
  write(2, 3, 4);
  await writer.flush(1_000);
  write(5);
  await writer.flush(1_000);
  disk.room = Number.POSITIVE_INFINITY;
  write(6);
  await writer.flush(1_000);
  const { lines, pieces } = disk.read();
  expect(lines).toMatchObject([
    { message: "line", number: 1 },
    { message: "line", number: 2 },
    {
      level: "WARN",
      target: "dyn_runtime::logging",
      message: "log lines dropped",
      dropped_lines: 3,
      error: "ENOSPC: no space left on device, write",
    },
    { message: "line", number: 6 },
  ]);
  expect(pieces).toHaveLength(1);
});

test("lines that were lost are told of at the end, if there is room again and no other line comes", async () => {
  const disk = new Disk();
  using writer = openWriter(disk);
  disk.room = 0;
  writer.write(writeLine({}, "line"));
  await writer.flush(1_000);
  disk.room = Number.POSITIVE_INFINITY;
  await writer.flush(1_000);
  expect(disk.read().lines).toMatchObject([{ message: "log lines dropped", dropped_lines: 1 }]);
});

test("wherever the disk is full, and for however long, each line is whole or counted, in its place", async () => {
  const step = fc.record({
    lines: fc.integer({ min: 0, max: 4 }),
    room: fc.option(fc.nat(400), { nil: Number.POSITIVE_INFINITY }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const disk = new Disk();
      using writer = openWriter(disk);
      let total = 0;
      for (const { lines, room } of [...steps, { lines: 1, room: Number.POSITIVE_INFINITY }]) {
        disk.room = room;
        for (let index = 0; index < lines; index += 1) writer.write(writeLine({ number: total++ }, "é"));
        await writer.flush(1_000);
      }
      let next = 0;
      for (const { message, number, dropped_lines: dropped } of disk.read().lines) {
        if (message === "é") expect(number).toBe(next++);
        else next += Number(dropped);
      }
      expect(next).toBe(total);
    }),
  );
});
