// One wrong id, one lost line, one line too many: nothing of it may pass, and each must be named. A mere copy is no fault.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isLifecycle,
  problemsOf,
  readRecording,
  recordings,
  toBytes,
  traceBytes,
  type RecordedLine,
} from "./recordings.ts";

const idFields = [
  "request_id",
  "x_request_id",
  "trace_id",
  "span_id",
  "parent_id",
  "caller_span_id",
  "instance_id",
  "worker_id",
  "prefill_worker_id",
  "decode_worker_id",
  "prefill_span_id",
  "attempt_span_id",
  "prefill_attempt_span_id",
];
const whole = recordings.filter((name) => name !== "killed");
const searches = ["request_id", "x_request_id", "trace_id"];

interface Place {
  readonly index: number;
  readonly field: string;
}

function idsOf({ fields }: RecordedLine): string[] {
  return idFields.flatMap((field) => (field in fields ? String(fields[field]) : []));
}

// Ids that stand in one line only are left out: nothing contradicts them. A span of a request that was never sent is one.
function idPlaces(lines: readonly RecordedLine[]): Place[] {
  const lifecycle = lines.filter(isLifecycle);
  return lines.flatMap((line, index) => {
    const fields = isLifecycle(line) ? idFields.filter((field) => field in line.fields) : [];
    const isShared = (id: unknown): boolean =>
      lifecycle.filter((other) => idsOf(other).includes(String(id))).length > 1;
    return fields.filter((field) => isShared(line.fields[field])).map((field) => ({ index, field }));
  });
}

function mutate(lines: readonly RecordedLine[], { index, field }: Place, value: unknown): RecordedLine[] {
  return lines.map((line, at) => (at === index ? { ...line, fields: { ...line.fields, [field]: value } } : line));
}

// Another id of the same shape.
function otherId(id: string): string {
  return id.replace(/[0-9a-f]/, (digit) => (digit === "7" ? "8" : "7"));
}

/** An id to search for that stands in another line, too: the one that is changed may be just this one. */
function idOf(lines: readonly RecordedLine[], name: string): string {
  return String(lines[0]?.fields[name]);
}

// What is said of a line that is not there. Where only warnings are left, it may have been sampled out.
function describeLoss(message: string): RegExp {
  if (message.startsWith("route request")) return /missing .*attempt/;
  if (message === "request refused") return /missing .*there is no line of instance/;
  return new RegExp(`missing .*"${message}"|missing .*there is no line of instance|missing all lines below WARN`);
}

describe.each(whole)("%s", (name) => {
  const lines = readRecording(name);
  const lifecycle = lines.map((line, index) => ({ line, index })).filter(({ line }) => isLifecycle(line));

  test.each(searches)("is whole, found by its %s", async (search) => {
    const traced = await traceBytes(idOf(lines, search), toBytes(lines));
    expect(traced.trees).toHaveLength(1);
    expect(problemsOf(traced)).not.toMatch(/^(?:missing|contradiction)/m);
    expect(traced.isWhole).toBe(true);
  });

  test.each(searches)("with any one id changed is broken, and the id is named (found by %s)", async (search) => {
    for (const place of idPlaces(lines)) {
      const value = otherId(String(lines[place.index]?.fields[place.field]));
      const traced = await traceBytes(idOf(lines, search), toBytes(mutate(lines, place, value)));
      const where = `${place.field} of line ${place.index + 1}`;
      expect(traced.isWhole, where).toBe(false);
      const problems = problemsOf(traced);
      expect(problems, where).toContain(value);
      expect(problems, where).toContain(place.field);
    }
  });

  test("with any one id missing is broken", async () => {
    for (const place of idPlaces(lines)) {
      const traced = await traceBytes(idOf(lines, "request_id"), toBytes(mutate(lines, place, undefined)));
      expect(traced.isWhole, `${place.field} of line ${place.index + 1}`).toBe(false);
    }
  });

  test("with any one line lost is broken, and the line is named", async () => {
    for (const { line, index } of lifecycle) {
      const rest = lines.filter((_, at) => at !== index);
      if (!rest.some(isLifecycle)) continue;
      const traced = await traceBytes(idOf(lines, "request_id"), toBytes(rest));
      expect(traced.isWhole, `line ${index + 1}`).toBe(false);
      expect(problemsOf(traced), `line ${index + 1}`).toMatch(describeLoss(String(line.fields["message"])));
    }
  });

  test("with any one line there twice is the same, and the line is named", async () => {
    for (const { line, index } of lifecycle) {
      const traced = await traceBytes(idOf(lines, "request_id"), toBytes([...lines, line]));
      expect(traced.isWhole).toBe(true);
      expect(problemsOf(traced)).toContain(
        `note 1 line is there more than once and taken as one: stdin:${index + 1}, stdin:${lines.length + 1}`,
      );
    }
  });

  test("with any one line written at two times is broken, and the line is named", async () => {
    for (const { line, index } of lifecycle) {
      const again = {
        ...line,
        fields: {
          ...line.fields,
          time: String(line.fields["time"]).replace(/.Z$/, (end) => (end === "0Z" ? "1Z" : "0Z")),
        },
      };
      const traced = await traceBytes(idOf(lines, "request_id"), toBytes([...lines, again]));
      expect(traced.isWhole).toBe(false);
      const [problem] =
        /^contradiction .* has 2 different lines where there must be one: .*$/m.exec(problemsOf(traced)) ?? [];
      for (const number of [index + 1, lines.length + 1])
        expect(problem, `line ${index + 1}`).toContain(`(stdin:${number})`);
    }
  });
});

/** All of them, in an order that `order` says. */
function shuffle<Item>(items: readonly Item[], order: fc.Stream<number>): Item[] {
  return items
    .map((item) => ({ item, key: Number(order.next().value) }))
    .sort((left, right) => left.key - right.key)
    .map(({ item }) => item);
}

test("the order of the lines, and copies of some of them, change nothing of a tree", async () => {
  const told = async (lines: readonly RecordedLine[]): Promise<unknown> => {
    const { trees } = await traceBytes(idOf(lines, "request_id"), toBytes(lines));
    return trees.map((tree) => ({
      ...tree,
      log: undefined,
      problems: tree.problems.filter(({ message }) => !message.includes("there more than once")),
    }));
  };
  const lines = fc.constantFrom(...recordings).map(readRecording);
  await fc.assert(
    fc.asyncProperty(lines, fc.infiniteStream(fc.nat()), fc.nat(5), async (lines, order, copies) => {
      const whole = shuffle([...lines, ...shuffle(lines, order).slice(0, copies)], order);
      expect(await told(whole)).toEqual(await told(lines));
    }),
  );
});

test("any change of any id to anything else, in any order of the lines, is noticed", async () => {
  const requests = whole.map((name) => ({ name, lines: readRecording(name) }));
  const places = requests.flatMap(({ name, lines }) => idPlaces(lines).map((place) => ({ name, lines, place })));
  const ids = [...new Set(places.map(({ lines, place }) => String(lines[place.index]?.fields[place.field])))];
  const values = fc.oneof(fc.constantFrom(...ids), fc.string(), fc.constantFrom<unknown>(null, 0, 7, true, [], {}));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      values,
      fc.infiniteStream(fc.nat()),
      async ({ lines, place }, value, order) => {
        const original = lines[place.index]?.fields[place.field];
        fc.pre(value !== original);
        const mutated = mutate(lines, place, value);
        // The id to search for may be the one that was changed: any other line has it.
        const traced = await traceBytes(idOf(lines, "request_id"), toBytes(shuffle(mutated, order)));
        expect(traced.isWhole).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});
