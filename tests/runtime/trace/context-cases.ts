// Header lines of the W3C trace context suite (https://github.com/w3c/trace-context, test/test.py), and what must become of them.

export const id = "12345678901234567890123456789012";
export const other = "12345678901234567890123456789011";
export const parent = "1234567890123456";
export const valid = `traceparent: 00-${id}-${parent}-00`;

type Case = readonly [name: string, ...headers: string[]];

export const restarts: readonly Case[] = [
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

export const continued: readonly (readonly [name: string, header: string, flags: string])[] = [
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

export const states: readonly StateCase[] = [
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
