/** What came back, against what should have. */
import type { Ask, Expected } from "./asks.ts";

export type Fault = "failed" | "lost" | "duplicated" | "mismatched";

export interface Finding {
  readonly fault: Fault;
  readonly why: string;
}

/** Only the fields that are looked at, of whole answers and of events. */
interface Document {
  readonly error?: unknown;
  readonly choices?: readonly Choice[];
  readonly usage?: Usage | null;
  readonly content?: readonly Piece[];
  readonly stop_reason?: string | null;
  readonly message?: { readonly usage: Usage };
  readonly delta?: Piece & { readonly stop_reason?: string };
}

interface Piece {
  readonly text?: string;
}

type Usage = Readonly<Record<string, number>>;

interface Choice {
  readonly index: number;
  readonly text?: string;
  readonly message?: { readonly content: string };
  readonly delta?: { readonly content?: string };
  readonly finish_reason: string | null;
}

interface Answer {
  readonly texts: string[];
  readonly reasons: string[];
  usage: readonly [number, number] | undefined;
}

/** Judge a whole answer. @returns undefined if it is what was expected. */
export function judge({ shape, expected }: Ask, status: number, raw: string): Finding | undefined {
  if (status !== 200) return { fault: "failed", why: `status ${status}: ${raw.slice(0, 500)}` };
  const isStream = shape.endsWith("stream");
  const documents = isStream ? readEvents(raw, shape) : [JSON.parse(raw) as Document];
  if (!Array.isArray(documents)) return documents;
  const answer: Answer = { texts: [], reasons: [], usage: undefined };
  for (const document of documents) {
    if (document.error !== undefined) return { fault: "failed", why: `error event: ${JSON.stringify(document.error)}` };
    if (shape.startsWith("message")) addMessage(answer, document);
    else addChoices(answer, document);
  }
  return compare(answer, expected);
}

// The last event says that it is over, once.
function readEvents(raw: string, shape: Ask["shape"]): Document[] | Finding {
  const events = raw.split("\n\n");
  if (events.pop() !== "")
    return { fault: "lost", why: `the stream ends within an event: ${JSON.stringify(raw.slice(-200))}` };
  const data = events.map((event) => event.slice(event.indexOf("data: ") + "data: ".length));
  const [isEnd, end] =
    shape === "message stream"
      ? [(text: string) => text.includes('"message_stop"'), "message_stop"]
      : [isDone, "[DONE]"];
  const ends = data.filter(isEnd).length;
  if (ends > 1) return { fault: "duplicated", why: `${ends} times ${end}` };
  const last = data.at(-1) ?? "";
  if (shape !== "message stream" && ends === 1 && isDone(last)) data.pop();
  const documents = data.map((text) => JSON.parse(text) as Document);
  const hasError = documents.some(({ error }) => error !== undefined);
  return ends === 1 || hasError
    ? documents
    : { fault: "lost", why: `no ${end}; the last event is ${last.slice(0, 200)}` };
}

function isDone(text: string): boolean {
  return text === "[DONE]";
}

function addChoices(answer: Answer, { choices = [], usage }: Document): void {
  for (const { index, text, message, delta, finish_reason: reason } of choices) {
    answer.texts[index] = (answer.texts[index] ?? "") + (text ?? message?.content ?? delta?.content ?? "");
    if (reason !== null) answer.reasons.push(reason);
  }
  if (usage) answer.usage = [usage["prompt_tokens"] ?? -1, usage["completion_tokens"] ?? -1];
}

// A whole message, or an event of one, which has one piece of it at most.
function addMessage(answer: Answer, document: Document): void {
  const { delta, content = delta ? [delta] : [], message, usage = message?.usage } = document;
  for (const [index, { text = "" }] of content.entries()) answer.texts[index] = (answer.texts[index] ?? "") + text;
  const reason = document.stop_reason ?? delta?.stop_reason;
  if (reason) answer.reasons.push(reason);
  if (usage) answer.usage = toUsage(usage, answer.usage);
}

// The last one of a stream does not repeat what the prompt has cost.
function toUsage(
  { input_tokens: input, output_tokens: output = -1 }: Usage,
  before: Answer["usage"],
): readonly [number, number] {
  return [input ?? before?.[0] ?? -1, output];
}

function compare(answer: Answer, expected: Expected): Finding | undefined {
  for (const [index, text] of expected.texts.entries()) {
    const got = answer.texts[index] ?? "";
    if (got !== text) return describe(got, text);
  }
  const { texts, reasons, usage } = answer;
  if (texts.length > expected.texts.length)
    return { fault: "duplicated", why: `${texts.length} texts instead of ${expected.texts.length}` };
  if (String(reasons) !== String(expected.reasons))
    return { fault: "mismatched", why: `ends ${String(reasons)} instead of ${String(expected.reasons)}` };
  if (expected.usage && String(usage) !== String(expected.usage)) {
    return { fault: "mismatched", why: `usage ${String(usage)} instead of ${String(expected.usage)}` };
  }
  return undefined;
}

// No word comes twice in what was asked.
function describe(got: string, text: string): Finding {
  const words = got.split(" ");
  const why = `${words.length} words instead of ${text.split(" ").length}, ${JSON.stringify(got.slice(-100))} instead of ${JSON.stringify(text.slice(-100))}`;
  if (new Set(words).size < words.length) return { fault: "duplicated", why };
  return { fault: text.startsWith(got) ? "lost" : "mismatched", why };
}
