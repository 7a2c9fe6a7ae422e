// A log may hold anything: whatever stands in it, the command says what it can make of it, and what it has left out.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { isLifecycle, readRecording, recordings, toBytes, type Fields } from "./recordings.ts";
import { problemsOf, readTrees, say } from "./said.ts";

const id = "any-line";

/** Lines of every kind, as those of one client's id. */
const everyKind = recordings.flatMap((name) =>
  readRecording(name).map(({ fields }) => ({ ...fields, x_request_id: id })),
);

// As they stand in a log.
const nasty: readonly string[] = [
  "null",
  "true",
  "-1",
  "1e300",
  "-1e-300",
  "1e15",
  "1e400",
  "0.5",
  '""',
  '"__proto__"',
  String.raw`"\u001b[2J\u202e\u00ad\ud800"`,
  '"+275760-09-13T00:00Z"',
  '"0000-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999999-23:59"',
  '"2026-11-24T02:49:08Z"',
  '"2026-99-24T02:49:08Z"',
  "{}",
  '{"toString":1,"valueOf":null}',
  '{"length":-1,"then":{}}',
  '{"__proto__":{"span_id":"x"},"constructor":null}',
  "[[[]]]",
  `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  `"${"x".repeat(300_000)}"`,
  `"\u202e\u{e0041}\u0085\ufeff"`,
];
const anyValue = fc.oneof(
  fc.nat(nasty.length - 1).map((index) => `raw ${index}`),
  fc.jsonValue({ maxDepth: 2 }),
  fc.double(),
  fc.string({ unit: "binary" }),
);
const toLog = (lines: readonly Fields[]): Buffer =>
  Buffer.from(
    toBytes(lines.map((fields) => ({ fields })))
      .toString()
      .replace(/"raw (\d+)"/g, (_all, index: string) => nasty[Number(index)] ?? "null"),
  );
const hidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\ufeff\u{e0000}-\u{e0fff}]/u;

describe("any JSON in any field of any kind of line", () => {
  test("ends in pictures, trees or one sentence, which a terminal can only show", async () => {
    const change = fc.record({ at: fc.nat(everyKind.length - 1), field: fc.nat(), value: anyValue });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 60 }), fc.boolean(), async (changes, json) => {
        const lines: Fields[] = [...everyKind];
        for (const { at, field, value } of changes) {
          const fields = Object.entries(lines[at] ?? {});
          const [name] = fields[field % fields.length] ?? ["time"];
          lines[at] = Object.fromEntries([
            ...fields.filter(([other]) => other !== name),
            [name, value],
            ["__proto__", value],
          ]);
        }
        const { text, remarks, refusal } = await say(id, [toLog(lines)], json);
        expect(refusal).toBeUndefined();
        expect(`${text}${remarks}`.replaceAll("\n", "")).not.toMatch(hidden);
        if (json)
          for (const line of text.trimEnd().split("\n"))
            expect(JSON.parse(line)).toMatchObject({ problems: expect.any(Array) });
      }),
      { numRuns: 40 },
    );
  });

  test("is left out, and the field and its line are named", async () => {
    const lines = readRecording("stream").map(({ fields }) => fields);
    const changed = lines.map((fields) =>
      fields["message"] === "request completed" ? { ...fields, ttft_ms: { a: 1 } } : fields,
    );
    const [tree] = await readTrees(String(lines[0]?.["request_id"]), changed);
    expect(problemsOf(tree as RequestTree)).toMatch(
      /^note 2 fields were left out, because of values that cannot be there: ttft_ms of "request completed" \(stdin:\d+\), ttft_ms of "request completed" \(stdin:\d+\)$/m,
    );
  });

  test("of no line of a lifecycle is nobody's business", async () => {
    const lines = readRecording("stream").map(({ fields }) => fields);
    const more = {
      time: lines[0]?.["time"],
      level: "INFO",
      target: "mine",
      message: "hello",
      request_id: lines[0]?.["request_id"],
      items: ["a"],
    };
    const [tree] = await readTrees(String(more.request_id), [...lines, more]);
    expect(tree?.problems).toEqual([]);
  });

  test("does not change the order of the lines around it", async () => {
    const lines = readRecording("retry").map(({ fields }) => fields);
    const [before] = await readTrees(String(lines[0]?.["request_id"]), lines);
    const others = lines
      .filter((fields) => isLifecycle({ file: "", fields }))
      .map((fields, index) => ({ ...fields, target: "mine", time: [index] }));
    const [after] = await readTrees(String(lines[0]?.["request_id"]), [...others, ...lines.toReversed(), ...others]);
    expect(after?.attempts).toEqual(before?.attempts);
  });
});

test("a line that sums up refused requests is no line of the lifecycle of its example", async () => {
  const line = readRecording("stream").find(
    ({ fields }) => fields["message"] === "request completed" && fields["span_name"] === "http-request",
  );
  const sum = { ...line?.fields, level: "ERROR", status: "error", error_type: "unauthenticated", count: 335 };
  const [tree] = await readTrees(String(line?.fields["request_id"]), [sum]);
  expect(tree?.request).toBeUndefined();
  expect(problemsOf(tree as RequestTree)).toMatch(
    /^missing its lifecycle: .* or summed up with those of others that were refused$/,
  );
});

test.each([1, 300, 5_000, 200_000])("an id of %d characters is found, as it is and escaped", async (length) => {
  const long = `é\u202e${"x".repeat(length)}`;
  const lines = readRecording("stream").map(({ fields }) => ({ ...fields, x_request_id: long }));
  const plain = toBytes(lines.map((fields) => ({ fields })));
  for (const bytes of [plain, Buffer.from(plain.toString().replaceAll("\u202e", "\\u202e"))]) {
    const { isWhole, text } = await say(long, [bytes], true);
    expect(isWhole).toBe(true);
    expect((JSON.parse(text) as RequestTree).x_request_id).toMatch(/^é\u202ex+…?$/);
  }
});

test("processes that say nonsense about lines they have dropped are not believed", async () => {
  const notice = {
    time: "2026-11-24T02:49:08.479825Z",
    level: "WARN",
    target: "dyn_runtime::logging",
    message: "log lines dropped",
  };
  const lines = readRecording("stream").map(({ fields }) => fields);
  const notices = [{ a: 1 }, [7], "5", -3, 1e300, 4].map((value) => ({ ...notice, dropped_lines: value }));
  const { remarks } = await say(
    String(lines[0]?.["request_id"]),
    [toBytes([...lines, ...notices].map((fields) => ({ fields })))],
    true,
  );
  expect(remarks).toContain("\n4 lines could not be written by the processes themselves");
});
