/** What a client can send, and where, to get a line or a key of its own into the log. */
import { chat } from "../support/cluster.ts";
import type { RawRequest } from "../support/raw-http.ts";

const range = (from: number, to: number): string =>
  String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index));

/** Visible ASCII, which HTTP lets through everywhere. */
const visible = [
  "level=ERROR",
  '","level":"ERROR","request_id":"forged","x":"',
  '"}{"time":"x","level":"ERROR"}',
  '\\","level":"ERROR',
  "\\u0022,\\n\\u000a",
  "%0a%22%1b[31m",
  "__proto__",
  "time",
  "'",
];
const blanks = [
  "a b  c",
  "level=ERROR status=200 request_id=forged",
  "x target: message a=b",
  '" level="ERROR" x="',
  "a\tb",
];
/** Bytes above ASCII, in headers: C1 controls, a no-break space. */
const high = ["a\u0085b", "a\u009b31mb", "a\u00a0b=c"];
/** Only bodies can carry these. */
const controls = [
  "a\nb",
  '\r\n{"time":"2026-11-24T00:00:00.000000Z","level":"ERROR"}\r\n',
  "\n2026-11-24T00:00:00.000000Z ERROR dyn: forged a=b\n",
  "\u001b[31mred\u001b[0m\u001b]0;title\u0007",
  range(0x00, 0x1f),
  range(0x7f, 0x9f),
  "\u2028\u2029\u0085",
  "\u202egnirts\u202c \u2066x\u2069 \u200e\u200f\u061c",
  "so\u00adft \ufeff ze\u200bro \u{e0041}\u{e007f}",
  "naïve 模型 🦊=1",
];
const huge = "x".repeat(65_536);
/** The name of a model that a worker serves: the command takes no such name, a program may give any. */
export const evilModel = 'evil" model=x\nlevel=ERROR \u001b[31m\u2028';

/** Where a client can put a value. */
export interface Place {
  readonly name: string;
  /** Takes the same way as the others, and is harmless. */
  readonly clean: string;
  readonly values: readonly string[];
  readonly request: (value: string) => RawRequest;
}

/** A body with these fields, too. */
export const json = (more: Readonly<Record<string, unknown>> = {}): string => JSON.stringify(chat("hello", more));
const header = (name: string): Place["request"] => {
  const traceparent =
    name === "tracestate" ? ["traceparent: 00-12345678901234567890123456789012-1234567890123456-01"] : [];
  return (value) => ({ headers: [...traceparent, `${name}: ${value}`], body: json() });
};

/** Every place, with what is harmless there and what is not. */
export const places: readonly Place[] = [
  {
    name: "a request-id that is no UUID",
    clean: "nope",
    values: [...visible, ...blanks, ...high, "x".repeat(8_000)],
    request: header("request-id"),
  },
  {
    name: "an x-dynamo-request-id",
    clean: "nope",
    values: [...visible, ...blanks, ...high],
    request: header("x-dynamo-request-id"),
  },
  { name: "an x-request-id that is kept", clean: "order-4711", values: visible, request: header("x-request-id") },
  {
    name: "an x-request-id that is ignored",
    clean: "a b",
    values: [...blanks, ...high, "x".repeat(8_000)],
    request: header("x-request-id"),
  },
  { name: "a traceparent", clean: "nope", values: [...visible, ...blanks, ...high], request: header("traceparent") },
  {
    name: "a tracestate that is kept",
    clean: "a=b",
    values: ['a="} {"level":"ERROR" "x":"', "a= b  c", "a=\\u0022 level:ERROR", 'a="}'],
    request: header("tracestate"),
  },
  {
    name: "a tracestate that is dropped",
    clean: "nope",
    values: [...visible, ...blanks, ...high],
    request: (value) => header("tracestate")(`UPPER=1,${value}`),
  },
  { name: "baggage", clean: "a=b", values: [...visible, ...blanks, ...high], request: header("baggage") },
  { name: "any other header", clean: "x", values: [...visible, ...blanks, ...high], request: header("user-agent") },
  {
    name: "the query",
    clean: "a",
    values: [...visible, "x".repeat(8_000)],
    request: (value) => ({ requestLine: `POST /v1/chat/completions?${value} HTTP/1.1`, body: json() }),
  },
  {
    name: "a path without a route",
    clean: "nope",
    values: [...visible, "x".repeat(8_000)],
    request: (value) => ({ requestLine: `POST /v1/${value} HTTP/1.1`, body: json() }),
  },
  {
    name: "a model nobody serves",
    clean: "nope",
    values: [...visible, ...blanks, ...controls],
    request: (model) => ({ body: json({ model }) }),
  },
  {
    name: "a model's name that is too long",
    clean: "y".repeat(257),
    values: [huge, "\n=".repeat(300)],
    request: (model) => ({ body: json({ model }) }),
  },
  {
    name: "a served model's name",
    clean: "mock",
    values: [evilModel],
    request: (model) => ({ body: json({ model }) }),
  },
  {
    name: "the message",
    clean: "hello",
    values: [...visible, ...blanks, ...controls, huge],
    request: (value) => ({ body: JSON.stringify(chat(`say ${value} now`)) }),
  },
  {
    name: "a field nobody knows",
    clean: "x",
    values: [...visible, ...controls, huge],
    request: (value) => ({ body: json({ [`x${value}`]: value }) }),
  },
  {
    name: "a field of the wrong kind",
    clean: "x",
    values: [...visible, ...controls, huge],
    request: (value) => ({ body: json({ messages: [{ role: value, content: "hello" }] }) }),
  },
  {
    name: "a body that is no JSON",
    clean: "x",
    values: [...visible, ...blanks, ...controls, huge],
    request: (value) => ({ body: `{${value}` }),
  },
  {
    name: "a field with half of a character",
    clean: "x",
    values: [...visible, ...blanks, ...controls, huge],
    request: (value) => ({ body: json({ [`x${value}`]: `${value}\ud800` }) }),
  },
  {
    name: "a method there is not",
    clean: "NOPE",
    values: [...visible, ...blanks],
    request: (value) => ({ requestLine: `${value} /v1/chat/completions HTTP/1.1`, body: json() }),
  },
  {
    name: "a header with a control character",
    clean: "\u0001",
    values: ["a\rb", "a\nb: c", "a\r\n b", "a\0b", "\u001b[31m", "a\u007fb"],
    request: header("x-request-id"),
  },
  {
    name: "a URI with a control character",
    clean: "\u0001",
    values: ["\u001b[31m", "a\tb", "a\0b", "\u0085"],
    request: (value) => ({ requestLine: `POST /v1/chat/completions?${value} HTTP/1.1`, body: json() }),
  },
  {
    name: "a header of 64 KB",
    clean: huge,
    values: ['"='.repeat(32_768), "\u009b".repeat(65_536)],
    request: header("x-request-id"),
  },
  {
    name: "a URI of 64 KB",
    clean: huge,
    values: ['"='.repeat(32_768)],
    request: (value) => ({ requestLine: `POST /v1/chat/completions?${value} HTTP/1.1`, body: json() }),
  },
];
