// Every case of the W3C trace context suite (https://github.com/w3c/trace-context, test/test.py), and what it leaves out: header lines
// as bytes to a frontend, which passes them on to a worker in another process; what came out is told by the worker and by all lines.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRuntime, type Runtime } from "../../../packages/runtime/src/index.ts";
import { serveModel } from "../../../packages/runtime/src/llm.ts";
import { createLogger } from "../../../packages/runtime/src/logging/logger.ts";
import { chat, eventually, startCluster, type Cluster, type Line } from "../../support/cluster.ts";
import { sendRaw } from "../../support/raw-http.ts";

const id = "12345678901234567890123456789012";
const other = "12345678901234567890123456789011";
const parent = "1234567890123456";
const valid = `traceparent: 00-${id}-${parent}-00`;

let cluster: Cluster;
let worker: Runtime;
const workerLines: Line[] = [];

beforeAll(async () => {
  cluster = await startCluster({ workers: 0, env: { DYN_LOG: "debug" } });
  const log = createLogger({ sink: (record) => workerLines.push(record) });
  worker = await createRuntime({ config: { fileKv: cluster.directory }, environment: {}, log });
  await serveModel(worker, { model: "mock" }, async function* (_request, { traceparent, tracestate }) {
    yield { text: JSON.stringify({ traceparent, tracestate }) };
  });
  await eventually("the worker joining", () =>
    cluster.frontend.lines().some(({ message }) => message === "instance joined"),
  );
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

/** What the worker's engine was given, and the span lines of both processes. */
interface Outcome {
  readonly traceparent: string;
  readonly tracestate?: string;
  readonly spans: { readonly http: Line; readonly attempt: Line; readonly worker: Line };
}

async function send(...headers: string[]): Promise<Outcome> {
  const requestId = randomUUID();
  const answer = await sendRaw(cluster.url, {
    headers: [...headers, `request-id: ${requestId}`],
    body: JSON.stringify(chat("hello")),
  });
  expect(answer.status, answer.body).toBe(200);
  const { choices } = JSON.parse(answer.body) as { choices: [{ message: { content: string } }] };
  const ofRequest = (lines: readonly Line[]): Line[] => lines.filter((line) => line["request_id"] === requestId);
  const find = (look: () => readonly Line[], message: string): Promise<Line> =>
    eventually(message, () => ofRequest(look()).find((line) => line["message"] === message));
  const spans = {
    http: await find(() => cluster.frontend.lines(), "request received"),
    attempt: await find(() => cluster.frontend.lines(), "route request completed"),
    worker: await find(() => workerLines, "request completed"),
  };
  return { ...(JSON.parse(choices[0].message.content) as { traceparent: string; tracestate?: string }), spans };
}

/** The spans stand below each other, and say what the worker was given. */
function checkSpans({ traceparent, tracestate, spans }: Outcome): void {
  const [, traceId, spanId, flags] = traceparent.split("-");
  for (const line of Object.values(spans)) expect(line).toMatchObject({ trace_id: traceId, trace_flags: flags });
  for (const line of Object.values(spans)) expect(line["tracestate"]).toBe(tracestate);
  expect(spans.attempt["parent_id"]).toBe(spans.http["span_id"]);
  expect(spans.worker["parent_id"]).toBe(spans.attempt["span_id"]);
  expect(spans.worker["engine_span_id"]).toBe(spanId);
}

type Case = readonly [name: string, ...headers: string[]];

const restarts: readonly Case[] = [
  ["both_traceparent_and_tracestate_missing"],
  ["traceparent_duplicated", `traceparent: 00-${other}-${parent}-01`, `traceparent: 00-${id}-${parent}-01`],
  ["a duplicate that says the same", valid, valid],
  [
    "a duplicate of a later version with more parts",
    `traceparent: cc-${id}-${parent}-01-x`,
    `traceparent: cc-${other}-${parent}-01-x`,
  ],
  ["a duplicate folded into one line by a proxy", `traceparent: cc-${id}-${parent}-01-x,cc-${other}-${parent}-01-x`],
  ["a duplicate that is empty", valid, "traceparent:"],
  ["traceparent_header_name", `trace-parent: 00-${id}-${parent}-01`],
  ["traceparent_header_name", `trace.parent: 00-${id}-${parent}-01`],
  ["traceparent_version_0x00", `traceparent: 00-${id}-${parent}-01.`],
  ["traceparent_version_0x00", `traceparent: 00-${id}-${parent}-01-what-the-future-will-be-like`],
  ["version 00 with a dash at its end", `traceparent: 00-${id}-${parent}-01-`],
  ["traceparent_version_0xcc", `traceparent: cc-${id}-${parent}-01.what-the-future-will-be-like`],
  ["a later version that is too short", `traceparent: cc-${id}-${parent}-1`],
  ["traceparent_version_0xff", `traceparent: ff-${id}-${parent}-01`],
  ["version ff with more parts", `traceparent: ff-${id}-${parent}-01-x`],
  ["traceparent_version_illegal_characters", `traceparent: .0-${id}-${parent}-01`],
  ["traceparent_version_illegal_characters", `traceparent: 0.-${id}-${parent}-01`],
  ["traceparent_version_too_long", `traceparent: 000-${id}-${parent}-01`],
  ["traceparent_version_too_long", `traceparent: 0000-${id}-${parent}-01`],
  ["traceparent_version_too_short", `traceparent: 0-${id}-${parent}-01`],
  ["an upper-case version", `traceparent: CC-${id}-${parent}-01`],
  ["traceparent_trace_id_all_zero", `traceparent: 00-${"0".repeat(32)}-${parent}-01`],
  ["a trace id of zeros in a later version", `traceparent: cc-${"0".repeat(32)}-${parent}-01`],
  ["traceparent_trace_id_illegal_characters", `traceparent: 00-.${id.slice(1)}-${parent}-01`],
  ["traceparent_trace_id_illegal_characters", `traceparent: 00-${id.slice(1)}.-${parent}-01`],
  ["an upper-case trace id", `traceparent: 00-${id.slice(1)}A-${parent}-01`],
  ["traceparent_trace_id_too_long", `traceparent: 00-${id}3-${parent}-01`],
  ["traceparent_trace_id_too_short", `traceparent: 00-${id.slice(1)}-${parent}-01`],
  ["traceparent_parent_id_all_zero", `traceparent: 00-${id}-${"0".repeat(16)}-01`],
  ["traceparent_parent_id_illegal_characters", `traceparent: 00-${id}-.${parent.slice(1)}-01`],
  ["traceparent_parent_id_illegal_characters", `traceparent: 00-${id}-${parent.slice(1)}.-01`],
  ["an upper-case parent id", `traceparent: 00-${id}-${parent.slice(1)}A-01`],
  ["traceparent_parent_id_too_long", `traceparent: 00-${id}-${parent}7-01`],
  ["traceparent_parent_id_too_short", `traceparent: 00-${id}-${parent.slice(1)}-01`],
  ["traceparent_trace_flags_illegal_characters", `traceparent: 00-${id}-${parent}-.0`],
  ["traceparent_trace_flags_illegal_characters", `traceparent: 00-${id}-${parent}-0.`],
  ["upper-case flags", `traceparent: 00-${id}-${parent}-0A`],
  ["traceparent_trace_flags_too_long", `traceparent: 00-${id}-${parent}-001`],
  ["traceparent_trace_flags_too_short", `traceparent: 00-${id}-${parent}-1`],
  ["blanks inside", `traceparent: 00-${id} -${parent}-01`],
  ["a no-break space before", `traceparent: \u00a000-${id}-${parent}-01`],
  ["an empty traceparent", "traceparent:"],
  ["multiple_requests_with_illegal_traceparent", `traceparent: 00-${"0".repeat(32)}-${parent}-01`, "tracestate: foo=1"],
  ["tracestate_included_traceparent_missing", "tracestate: foo=1"],
  ["tracestate_included_traceparent_missing", "tracestate: foo=1,bar=2"],
];

test.each(restarts)("a new trace, without tracestate: %s", async (_name, ...headers) => {
  const outcome = await send(...headers);
  expect(outcome.traceparent).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-03$/);
  for (const known of [id, other]) expect(outcome.traceparent).not.toContain(known.slice(1));
  expect(outcome.tracestate).toBeUndefined();
  expect(outcome.spans.http).not.toHaveProperty("parent_id");
  checkSpans(outcome);
});

const continued: readonly (readonly [name: string, header: string, flags: string])[] = [
  ["traceparent_included_tracestate_missing", `traceparent: 00-${id}-${parent}-01`, "01"],
  ["traceparent_header_name_valid_casing", `TraceParent: 00-${id}-${parent}-01`, "01"],
  ["traceparent_header_name_valid_casing", `TrAcEpArEnT: 00-${id}-${parent}-01`, "01"],
  ["traceparent_header_name_valid_casing", `TRACEPARENT: 00-${id}-${parent}-01`, "01"],
  ["traceparent_version_0xcc", `traceparent: cc-${id}-${parent}-01`, "01"],
  ["traceparent_version_0xcc", `traceparent: cc-${id}-${parent}-01-what-the-future-will-be-like`, "01"],
  ["version 01 with one more part", `traceparent: 01-${id}-${parent}-01-extra`, "01"],
  ["a later version with a dash at its end", `traceparent: 01-${id}-${parent}-01-`, "01"],
  ["traceparent_ows_handling", `traceparent:  00-${id}-${parent}-01`, "01"],
  ["traceparent_ows_handling", `traceparent: \t00-${id}-${parent}-01`, "01"],
  ["traceparent_ows_handling", `traceparent: 00-${id}-${parent}-01 `, "01"],
  ["traceparent_ows_handling", `traceparent: 00-${id}-${parent}-01\t`, "01"],
  ["traceparent_ows_handling", `traceparent: \t 00-${id}-${parent}-01 \t`, "01"],
  ["no blank at all", `traceparent:00-${id}-${parent}-01`, "01"],
  ["propagates_random_flag", `traceparent: 00-${id}-${parent}-02`, "02"],
  ["sampled and random", `traceparent: 00-${id}-${parent}-03`, "03"],
  ["neither", `traceparent: 00-${id}-${parent}-00`, "00"],
  ["bits version 00 does not know are cleared", `traceparent: 00-${id}-${parent}-ff`, "03"],
  ["bits version 00 does not know are cleared", `traceparent: 00-${id}-${parent}-fc`, "00"],
  ["bits of a later version are cleared", `traceparent: cc-${id}-${parent}-fd-x`, "01"],
];

test.each(continued)("the same trace: %s, %s", async (_name, header, flags) => {
  const outcome = await send(header);
  expect(outcome.traceparent).toMatch(new RegExp(`^00-${id}-(?!${parent})[0-9a-f]{16}-${flags}$`));
  expect(outcome.spans.http["parent_id"]).toBe(parent);
  expect(outcome.tracestate).toBeUndefined();
  checkSpans(outcome);
});

test("multiple_requests_with_valid_traceparent: one trace, a span each", async () => {
  const outcomes = [await send(valid), await send(valid), await send(valid)];
  expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[1]))).toEqual(new Set([id]));
  expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[2])).size).toBe(3);
});

test("multiple_requests_without_traceparent: a trace and a span each", async () => {
  const outcomes = [await send(), await send(), await send()];
  for (const part of [1, 2])
    expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[part])).size).toBe(3);
});

const every = (from: number, to: number): string =>
  String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index));
const keyCharacters = `${every(0x61, 0x7a)}0123456789_-*/`;
const valueCharacters = every(0x20, 0x2b) + every(0x2d, 0x3c) + every(0x3e, 0x7e);
const bars = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index).padStart(2, "0"))
    .map((number) => `bar${number}=${number}`)
    .join(",");
const barLines = [`tracestate: ${bars(1, 10)}`, `tracestate: ${bars(11, 20)}`, `tracestate: ${bars(21, 30)}`];
const fill = (key: string, length: number): string => `${key}=${"v".repeat(length - key.length - 1)}`;

type StateCase = [name: string, kept: string | undefined, ...lines: string[]];

const states: readonly StateCase[] = [
  ["tracestate_included_traceparent_included", "foo=1,bar=2", "tracestate: foo=1,bar=2"],
  ["tracestate_header_name", undefined, "trace-state: foo=1"],
  ["tracestate_header_name", undefined, "trace.state: foo=1"],
  ["tracestate_header_name_valid_casing", "foo=1", "TraceState: foo=1"],
  ["tracestate_header_name_valid_casing", "foo=1", "TrAcEsTaTe: foo=1"],
  ["tracestate_header_name_valid_casing", "foo=1", "TRACESTATE: foo=1"],
  ["tracestate_empty_header", undefined, "tracestate:"],
  ["tracestate_empty_header", "foo=1", "tracestate: foo=1", "tracestate:"],
  ["tracestate_empty_header", "foo=1", "tracestate:", "tracestate: foo=1"],
  ["empty members only", undefined, "tracestate: , \t,,"],
  ["empty members between", "foo=1,bar=2", "tracestate: ,foo=1,, \t,bar=2,"],
  [
    "tracestate_multiple_headers_different_keys",
    "foo=1,bar=2,rojo=1,congo=2,baz=3",
    "tracestate: foo=1,bar=2",
    "tracestate: rojo=1,congo=2",
    "tracestate: baz=3",
  ],
  ["tracestate_duplicated_keys", "foo=1", "tracestate: foo=1,foo=1"],
  ["tracestate_duplicated_keys", "foo=1", "tracestate: foo=1,foo=2"],
  ["tracestate_duplicated_keys", "foo=1", "tracestate: foo=1", "tracestate: foo=1"],
  ["tracestate_duplicated_keys", "foo=1", "tracestate: foo=1", "tracestate: foo=2"],
  [
    "tracestate_all_allowed_characters",
    `${keyCharacters}=${valueCharacters}`,
    `tracestate: ${keyCharacters}=${valueCharacters}`,
  ],
  [
    "tracestate_all_allowed_characters",
    `${keyCharacters}@a-z0-9_-*/=${valueCharacters}`,
    `tracestate: ${keyCharacters}@a-z0-9_-*/=${valueCharacters}`,
  ],
  ["tracestate_ows_handling", "foo=1,bar=2,baz=3", "tracestate: foo=1 \t , \t bar=2, \t baz=3"],
  ["tracestate_ows_handling", "foo=1,bar=2,baz=3", "tracestate: foo=1\t \t,\t \tbar=2,\t \tbaz=3"],
  ["tracestate_ows_handling", "foo=1", "tracestate:  foo=1"],
  ["tracestate_ows_handling", "foo=1", "tracestate: \tfoo=1"],
  ["tracestate_ows_handling", "foo=1", "tracestate: foo=1 "],
  ["tracestate_ows_handling", "foo=1", "tracestate: foo=1\t"],
  ["tracestate_ows_handling", "foo=1", "tracestate: \t foo=1 \t"],
  ["blanks before a value belong to it", "foo=  1", "tracestate: foo=  1 "],
  ["tracestate_key_illegal_characters", undefined, "tracestate: foo =1"],
  ["tracestate_key_illegal_characters", undefined, "tracestate: FOO=1"],
  ["tracestate_key_illegal_characters", undefined, "tracestate: foo.bar=1"],
  ["tracestate_key_illegal_vendor_format", "foo@=1,bar=2", "tracestate: foo@=1,bar=2"],
  ["tracestate_key_illegal_vendor_format", undefined, "tracestate: @foo=1,bar=2"],
  ["tracestate_key_illegal_vendor_format", "foo@@bar=1,bar=2", "tracestate: foo@@bar=1,bar=2"],
  ["tracestate_key_illegal_vendor_format", "foo@bar@baz=1,bar=2", "tracestate: foo@bar@baz=1,bar=2"],
  ["a key may begin with a digit, not with a mark", "0a=1", "tracestate: 0a=1"],
  ["a key may begin with a digit, not with a mark", undefined, "tracestate: _a=1"],
  ["tracestate_member_count_limit", bars(1, 32), ...barLines, `tracestate: ${bars(31, 32)}`],
  ["tracestate_member_count_limit", undefined, ...barLines, `tracestate: ${bars(31, 33)}`],
  [
    "tracestate_key_length_limit",
    `foo=1,${"z".repeat(256)}=1`,
    "tracestate: foo=1",
    `tracestate: ${"z".repeat(256)}=1`,
  ],
  ["tracestate_key_length_limit", undefined, "tracestate: foo=1", `tracestate: ${"z".repeat(257)}=1`],
  [
    "tracestate_key_length_limit",
    `foo=1,${"t".repeat(241)}@${"v".repeat(14)}=1`,
    "tracestate: foo=1",
    `tracestate: ${"t".repeat(241)}@${"v".repeat(14)}=1`,
  ],
  [
    "tracestate_key_length_limit",
    `foo=1,${"t".repeat(242)}@v=1`,
    "tracestate: foo=1",
    `tracestate: ${"t".repeat(242)}@v=1`,
  ],
  [
    "tracestate_key_length_limit",
    `foo=1,t@${"v".repeat(15)}=1`,
    "tracestate: foo=1",
    `tracestate: t@${"v".repeat(15)}=1`,
  ],
  ["a value of 256 characters", fill("k", 258), `tracestate: ${fill("k", 258)}`],
  ["a value of 257 characters", undefined, `tracestate: ${fill("k", 259)}`],
  ["tracestate_value_illegal_characters", undefined, "tracestate: foo=bar=baz"],
  ["tracestate_value_illegal_characters", undefined, "tracestate: foo=,bar=3"],
  ["a tab inside a value", undefined, "tracestate: foo=a\tb"],
  ["bytes that are not ASCII", undefined, "tracestate: foo=caf\u00e9"],
  ["a no-break space around a member", undefined, "tracestate: \u00a0foo=1"],
  ["a member without =", undefined, "tracestate: foo=1,bar"],
  [
    "512 characters travel whole",
    `${fill("a", 128)},${fill("b", 128)},${fill("c", 128)},${fill("d", 125)}`,
    `tracestate: ${fill("a", 128)},${fill("b", 128)},${fill("c", 128)},${fill("d", 125)}`,
  ],
  [
    "of 513 the last member stays behind",
    `${fill("a", 128)},${fill("b", 128)},${fill("c", 128)}`,
    `tracestate: ${fill("a", 128)},${fill("b", 128)},${fill("c", 128)},${fill("d", 126)}`,
  ],
  [
    "members over 128 characters stay behind first",
    `${fill("a", 100)},${fill("c", 128)},${fill("e", 100)}`,
    `tracestate: ${fill("a", 100)},${fill("b", 250)},${fill("c", 128)},${fill("d", 129)},${fill("e", 100)}`,
  ],
  [
    "no more of them than must",
    `${fill("a", 100)},${fill("b", 200)},${fill("e", 100)}`,
    `tracestate: ${fill("a", 100)},${fill("b", 200)},${fill("d", 129)},${fill("e", 100)}`,
  ],
];

test.each(states)("tracestate: %s, kept is %j", async (_name, kept, ...lines) => {
  const outcome = await send(valid, ...lines);
  expect(outcome.traceparent).toContain(`00-${id}-`);
  expect(outcome.tracestate).toBe(kept);
  checkSpans(outcome);
});

test("a traceparent of a later version brings its tracestate along", async () => {
  expect(await send(`traceparent: cc-${id}-${parent}-01-x`, "tracestate: foo=1")).toMatchObject({
    tracestate: "foo=1",
  });
});

test("the ids that came back were the ids sent, every time", async () => {
  expect(await (await fetch(`${cluster.url}/metrics`)).text()).toMatch(
    /^dynamo_request_plane_lineage_mismatch_total 0$/m,
  );
});
