/** Where lines go: a stream whose reader may be slow, or a file. */
import { fstatSync, writeSync } from "node:fs";
import { isatty } from "node:tty";

export interface LogOutput {
  /** Bytes that wait for the reader. */
  readonly queuedBytes: number;
  /** Send `lines`, each with its end. `done` is called once: the last `lost` of them went nowhere, because of `error`. */
  write(lines: string, done: (lost: number, error?: Error) => void): void;
}

/** What is needed of a stream. Node's standard error never blocks on a pipe, and does on a terminal, which takes what it gets. */
export interface LogStream {
  write(text: string, callback: (error?: Error | null) => void): boolean;
  readonly writableLength: number;
  on(event: "error", listener: (error: Error) => void): unknown;
  listeners(event: "error"): readonly unknown[];
}

const newline = 0x0a;

/** Standard error of this process. */
export function openStandardError(): LogOutput {
  const fd = 2;
  const stats = fstatSync(fd);
  const isFile = stats.isFile() || (stats.isCharacterDevice() && !isatty(fd));
  return isFile ? createFileOutput((bytes) => writeSync(fd, bytes)) : createStreamOutput(process.stderr);
}

// The callback of the write has it as well: a reader that is gone (EPIPE), a closed terminal.
const ignoreError = (): void => undefined;

/** Lines as a stream takes them. */
export function createStreamOutput(stream: LogStream): LogOutput {
  if (!stream.listeners("error").includes(ignoreError)) stream.on("error", ignoreError);
  return {
    get queuedBytes() {
      return stream.writableLength;
    },
    write(lines, done) {
      stream.write(lines, (error) => (error ? done(lines.split("\n").length - 1, error) : done(0)));
    },
  };
}

/** Lines in a file, at once. `writeBytes` returns how many it took, as `fs.writeSync` does. Node's own stream for files does not look at that number:
 *  of a text that a full disk took in part the rest would be lost without an error, and the next line would go on where it was cut. */
export function createFileOutput(writeBytes: (bytes: Uint8Array) => number): LogOutput {
  let isCut = false; // the last line in the file has no end
  return {
    queuedBytes: 0,
    write(lines, done) {
      const bytes = Buffer.from(isCut ? `\n${lines}` : lines);
      const { written, error } = writeAll(bytes, writeBytes);
      const lost = countLines(bytes.subarray(bytes[written] === newline ? written + 1 : written)); // an end that is missing comes with the next line
      if (written > 0) isCut = bytes[written - 1] !== newline;
      done(lost, error);
    },
  };
}

function writeAll(bytes: Uint8Array, writeBytes: (bytes: Uint8Array) => number): { written: number; error?: Error } {
  let written = 0;
  try {
    while (written < bytes.length) {
      const taken = writeBytes(bytes.subarray(written));
      if (taken === 0) throw new Error("nothing of it was taken");
      written += taken;
    }
    return { written };
  } catch (error) {
    return { written, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) lines += 1;
  return lines;
}
