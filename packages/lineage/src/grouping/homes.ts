/** Which worker worked on which attempt. As many steps as there are of both. */
import { isWorkerLine, textOf, type LogLine } from "../logs/lines.ts";

/** Lines of one worker about one attempt. */
export interface WorkerLines {
  readonly lines: readonly LogLine[];
}

/** One attempt, and the lines of those who worked on it. */
export interface AttemptLines {
  /** What its line says. */
  readonly fields: LogLine["fields"];
  /** None if only `request completed` tells of it: then its fields are what follows from there. */
  readonly lines: readonly LogLine[];
  readonly workers: readonly WorkerLines[];
}

export interface PlacedWorkers {
  readonly attempts: readonly AttemptLines[];
  /** Workers without an attempt. */
  readonly strays: readonly WorkerLines[];
}

type Home = AttemptLines & { readonly workers: WorkerLines[] };

/** Put the workers that `lines` tell of to the attempts they worked on. */
export function placeWorkers(
  lines: readonly LogLine[],
  attempts: readonly Omit<AttemptLines, "workers">[],
): PlacedWorkers {
  const homes = attempts.map(({ fields, lines }): Home => ({ fields, lines, workers: [] }));
  const unplaced = settle(groupWorkers(lines.filter(isWorkerLine)), createParents(homes));
  // An attempt nobody worked on and a worker without attempt that name each other: one of the spans is wrong, which the checks will say.
  const strays = settle(unplaced, createCounterparts(homes));
  return { attempts: homes.map(withNumber), strays };
}

type FindHome = (worker: WorkerLines) => Home | undefined;

function settle(workers: readonly WorkerLines[], find: FindHome): WorkerLines[] {
  return workers.filter((worker) => {
    const home = find(worker);
    home?.workers.push(worker);
    return home === undefined;
  });
}

// The first one whose span is above the worker's.
function createParents(homes: readonly Home[]): FindHome {
  const bySpan = new Map(homes.toReversed().map((home) => [textOf(home, "span_id"), home]));
  return ({ lines }) => {
    const parents = lines.flatMap((line) => textOf(line, "parent_id") ?? []);
    return parents.map((parent) => bySpan.get(parent)).find((home) => home !== undefined);
  };
}

// The first one that was sent to this instance, has its number as far as both are known, and has nobody yet.
function createCounterparts(homes: readonly Home[]): FindHome {
  const sent = [...homes.entries()].filter(([, { fields }]) => fields["request.sent"] !== false).toReversed();
  const byInstance = Map.groupBy(sent, ([, home]) => toKey(textOf(home, "worker_id")));
  const byNumber = Map.groupBy(sent, ([, home]) => toKey(textOf(home, "worker_id"), home.fields["request.attempt"]));
  return (worker) => {
    const number = numberOf(worker);
    const instances = [...new Set(worker.lines.map((line) => textOf(line, "instance_id")))];
    const lists = instances.flatMap((id) =>
      number === undefined
        ? [byInstance.get(toKey(id))]
        : [byNumber.get(toKey(id, number)), byNumber.get(toKey(id, undefined))],
    );
    return lists
      .map(firstFree)
      .reduce((best, entry) => (best && (!entry || best[0] < entry[0]) ? best : entry), undefined)?.[1];
  };
}

// The last ones come first in the list: whoever has got a worker is taken from its end.
function firstFree(list: [number, Home][] = []): [number, Home] | undefined {
  while ((list.at(-1)?.[1].workers.length ?? 0) > 0) list.pop();
  return list.at(-1);
}

function toKey(...parts: readonly unknown[]): string {
  return JSON.stringify(parts);
}

// Where only its worker says which attempt it was.
function withNumber(home: Home): Home {
  if (home.lines.length > 0 || home.fields["request.attempt"] !== undefined) return home;
  const number = home.workers.map(numberOf).find((known) => known !== undefined) ?? 0;
  return { ...home, fields: { ...home.fields, "request.attempt": number } };
}

// The number of the attempt, as its worker was told.
function numberOf({ lines }: WorkerLines): LogLine["fields"][string] | undefined {
  return lines.find(({ fields }) => fields["attempt"] !== undefined)?.fields["attempt"];
}

// Two lines of a worker share their span; if they do not, the span above and the instance tell that they belong together.
function groupWorkers(lines: readonly LogLine[]): WorkerLines[] {
  const workers: LogLine[][] = [];
  const waiting = new Map<string, { readonly halves: LogLine[][]; next: number }>();
  for (const group of Map.groupBy(lines, (line) => textOf(line, "span_id")).values()) {
    const [line] = group;
    const isHalf = line !== undefined && group.length === 1 && line.event !== "worker refused";
    const other = isHalf
      ? waiting.get(halfKey(line, line.event === "worker received" ? "worker completed" : "worker received"))
      : undefined;
    const half = other?.halves[other.next];
    if (isHalf && other && half) {
      half.push(line);
      other.next += 1;
      continue;
    }
    workers.push(group);
    if (!isHalf) continue;
    const key = halfKey(line, line.event);
    const same = waiting.get(key) ?? { halves: [], next: 0 };
    same.halves.push(group);
    waiting.set(key, same);
  }
  return workers.map((lines) => ({ lines }));
}

function halfKey(line: LogLine, event: LogLine["event"]): string {
  return toKey(event, textOf(line, "parent_id"), textOf(line, "instance_id"));
}
