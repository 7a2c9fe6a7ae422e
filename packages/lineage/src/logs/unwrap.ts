/** Lines as containers and services keep them: docker's json-file, `journalctl -o json`, and the logs of kubernetes (CRI). */

export type Form = "JSONL" | "docker json-file" | "journald JSON" | "CRI";

/** What was met so far. */
export interface Met {
  readonly lines: number;
  /** Lines that a process of ours wrote. */
  readonly dynLines: number;
  readonly forms: ReadonlySet<Form>;
  /** Messages that `journalctl` has left out because they are long. */
  readonly omitted: number;
  /** Lines longer than 16 MiB are not read. */
  readonly tooLong: number;
}

export interface Unwrapper {
  readonly met: Met;
  /** Whole lines in, as many lines out: of a line that had been split the first parts leave empty lines where they stood. */
  unwrap(lines: Buffer): Buffer;
  /** The last part of a line has not come. */
  readonly isOpen: boolean;
}

interface Wrapped {
  readonly form: Form;
  /** Parts of one line come under one key. */
  readonly key: string;
  readonly text: string;
  /** More of the line follows. */
  readonly isPart: boolean;
  readonly isOmitted?: boolean;
}

const newline = 0x0a;
/** Of lines that wait for their last part, in all. */
const maxPendingChars = 16 * 1024 * 1024;
const maxPending = 1_000;
const dockerPieceBytes = 16 * 1024;
const dynHead = /^\{"time":"[^"]{1,40}","level":"[A-Z]{4,5}","(?:target|file)":"/;
const dynHeadChars = 96;

export function createUnwrapper(): Unwrapper {
  const met = { lines: 0, dynLines: 0, forms: new Set<Form>(), omitted: 0, tooLong: 0 };
  const joiner = createJoiner((lost) => (met.tooLong += lost));
  const take = (line: string): string => {
    const wrapped = openLine(line);
    const text = wrapped ? joiner.join(wrapped) : line;
    const isDyn = dynHead.test(text.slice(Math.max(0, text.indexOf("{"))));
    if (isDyn) met.dynLines += 1;
    if (wrapped || isDyn) met.forms.add(wrapped?.form ?? "JSONL");
    if (wrapped?.isOmitted) met.omitted += 1;
    return text;
  };
  return {
    met,
    unwrap(lines) {
      const count = countPlain(lines);
      if (count > 0) {
        met.lines += count;
        met.dynLines += count;
        met.forms.add("JSONL");
        return lines;
      }
      const parts = lines.toString().split("\n");
      const last = parts.at(-1) === "" ? parts.pop() : undefined;
      met.lines += parts.length;
      const text = parts.map(take).join("\n");
      return Buffer.from(last === undefined ? text : `${text}\n`);
    },
    get isOpen() {
      return joiner.isOpen;
    },
  };
}

interface Joiner {
  /** @returns the whole line with its last part, and nothing before. */
  join(part: Wrapped): string;
  readonly isOpen: boolean;
}

/** `onLost` is told how many lines were given up, because their last parts do not come. */
function createJoiner(onLost: (lines: number) => void): Joiner {
  const pending = new Map<string, string>();
  let chars = 0;
  return {
    join({ key, text, isPart }) {
      const whole = (pending.get(key) ?? "") + text;
      if (!isPart) {
        chars -= whole.length - text.length;
        pending.delete(key);
        return whole;
      }
      chars += text.length;
      pending.set(key, whole);
      if (chars > maxPendingChars || pending.size > maxPending) {
        onLost(pending.size);
        pending.clear();
        chars = 0;
      }
      return "";
    },
    get isOpen() {
      return pending.size > 0;
    },
  };
}

// How many lines there are, if a process of ours wrote all of them, as most logs are: then there is nothing to unwrap. Otherwise 0.
function countPlain(lines: Buffer): number {
  let count = 0;
  for (let at = 0; at < lines.length;) {
    if (!dynHead.test(lines.toString("latin1", at, at + dynHeadChars))) return 0;
    count += 1;
    const end = lines.indexOf(newline, at);
    at = end < 0 ? lines.length : end + 1;
  }
  return count;
}

function openLine(line: string): Wrapped | undefined {
  if (line.startsWith("{")) return line.includes('"log":') || line.includes('"MESSAGE"') ? openRecord(line) : undefined;
  // Source: kubernetes, KEP-2411 and the log format of the container runtime interface.
  const [head, stream, tag] = /^\S+ (stdout|stderr) ([FP])(?::\S*)? /.exec(line) ?? [];
  return head && stream ? { form: "CRI", key: stream, text: line.slice(head.length), isPart: tag === "P" } : undefined;
}

function openRecord(line: string): Wrapped | undefined {
  try {
    const record = JSON.parse(line) as Record<string, unknown>; // begins with {, so it is an object
    if (typeof record["message"] === "string") return undefined; // a line of a process, with such a field
    if (typeof record["log"] === "string") return openDocker(record["log"], String(record["stream"]));
    return "MESSAGE" in record ? openJournal(record) : undefined;
  } catch {
    return undefined; // a plain line, which may be broken
  }
}

// Docker splits at 16 KiB: what ends a line ends with a newline. Some collectors take that off, so a closing brace will do, unless a piece is full.
// Source: moby, daemon/logger/copier.go and jsonfilelog.go.
function openDocker(log: string, stream: string): Wrapped {
  const text = log.trimEnd();
  return {
    form: "docker json-file",
    key: stream,
    text: log.endsWith("\n") ? text : log,
    isPart: !/[\n}]$/.test(log) || isFull(log),
  };
}

function isFull(log: string): boolean {
  return Buffer.byteLength(log) === dockerPieceBytes && !log.endsWith("\n");
}

// A message is bytes if it is not all printable, and null if it is long and --all was not given. journald splits at LineMax, docker's driver at 16 KiB.
// Sources: systemd.journal-fields(7), journalctl(1), moby daemon/logger/journald.
function openJournal(record: Record<string, unknown>): Wrapped {
  const { MESSAGE: message, _STREAM_ID: streamId, CONTAINER_ID: container, _PID: pid, PRIORITY: priority } = record;
  const isBytes = Array.isArray(message) && message.every((byte) => typeof byte === "number");
  return {
    form: "journald JSON",
    key: [streamId, container, pid, priority].map(String).join(" "), // docker and podman tell the two streams of a container apart by the last
    text: (isBytes ? Buffer.from(message).toString() : typeof message === "string" ? message : "").replaceAll(
      "\n",
      " ",
    ), // just checked
    isPart: record["_LINE_BREAK"] === "line-max" || record["CONTAINER_PARTIAL_MESSAGE"] === "true",
    isOmitted: message === null,
  };
}
