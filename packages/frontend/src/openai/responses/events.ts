/** A response as a stream of named events, in OpenAI's order. */
import type { RuntimeError } from "@dyn/runtime";
import type { Delta, ToolCall, ToolCallPiece } from "@dyn/runtime/llm";
import type { AnswerHead, StreamFormat } from "../../inference/api.ts";
import { GrowingText } from "../../inference/growing-text.ts";
import type { GenerateResult } from "../../inference/transcript.ts";
import { toErrorBody } from "../errors.ts";
import {
  keep,
  toCallItem,
  toEnd,
  toFixed,
  toItemId,
  toMessageItem,
  toReasoningItem,
  toSummaryPart,
  toTextPart,
  toVarying,
  type Ending,
  type Status,
} from "./output.ts";
import type { ResponseRequest } from "./request.ts";

/** The item that is being written. */
interface Open {
  readonly id: string;
  readonly kind: "message" | "reasoning" | "call";
  /** Of a call. */
  readonly call: Omit<ToolCall, "arguments"> | undefined;
  readonly text: GrowingText;
  /** What stands before the number of each delta. */
  readonly before: string;
}

/** `response.created` and `response.in_progress`, the events of each item, and the whole response at the end. */
export class ResponseStream implements StreamFormat {
  readonly opening: Iterable<string>;
  readonly #request: ResponseRequest;
  readonly #head: AnswerHead;
  /** JSON of the response so far, without its end. */
  readonly #fixed: string;
  #number = 0;
  #hasBegun = false;
  readonly #items: unknown[] = [];
  #open: Open | undefined;

  constructor(request: ResponseRequest, head: AnswerHead) {
    this.#request = request;
    this.#head = head;
    this.#fixed = JSON.stringify(toFixed(request, head)).slice(0, -1);
    this.opening = { [Symbol.iterator]: () => this.#begin() };
  }

  batch(deltas: readonly Delta[]): string {
    let events = "";
    for (const { text, reasoning, toolCalls } of deltas) {
      if (reasoning !== undefined && reasoning !== "") events += this.#think(reasoning);
      if (text !== "") events += this.#say(text);
      if (toolCalls) for (const piece of toolCalls) events += this.#call(piece);
    }
    return events;
  }

  end({ choices: [choice], usage }: GenerateResult): string {
    const end = toEnd(choice);
    const isWhole = end.status === "completed";
    let events = [...this.#begin()].join("");
    if (!this.#open && this.#items.length === 0) events += this.#beginMessage();
    events += this.#close(isWhole ? "completed" : "incomplete");
    const ending = { ...end, output: this.#items, usage, ...(isWhole && { completedAt: this.#head.now() }) };
    const response = this.#response(ending);
    keep(this.#request, this.#head, choice, response);
    return events + this.#about(`response.${end.status}`, response);
  }

  /** What has been said so far is in it: clients show its message, and that of a bare error event not all of them. */
  fail(error: RuntimeError): string {
    const { code, message } = toErrorBody(error).error;
    const shown = { code: error.code === "overloaded" ? "server_is_overloaded" : (code ?? "server_error"), message };
    const events = [...this.#begin()].join("");
    if (this.#open) this.#items.push(toItem(this.#open, "incomplete", this.#request));
    return events + this.#whole("response.failed", { status: "failed", output: this.#items, error: shown });
  }

  *#begin(): Generator<string, void, void> {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    yield this.#whole("response.created", { status: "in_progress", output: [] });
    yield this.#whole("response.in_progress", { status: "in_progress", output: [] });
  }

  #think(text: string): string {
    let events = "";
    if (this.#open?.kind !== "reasoning") events = this.#close("completed") + this.#beginReasoning();
    return events + this.#delta(text);
  }

  #say(text: string): string {
    let events = "";
    if (this.#open?.kind !== "message") events = this.#close("completed") + this.#beginMessage();
    return events + this.#delta(text);
  }

  #call({ id = "", name, kind = "function", arguments: text = "" }: ToolCallPiece): string {
    const events = name === undefined ? "" : this.#close("completed") + this.#beginCall({ id, name, kind });
    return text === "" ? events : events + this.#delta(text);
  }

  #delta(text: string): string {
    if (!this.#open) return ""; // pieces of calls have been checked: one has begun
    this.#open.text.add(text);
    return `${this.#open.before}${this.#number++},"delta":${JSON.stringify(text)}}\n\n`;
  }

  #beginReasoning(): string {
    const index = this.#items.length;
    const id = toItemId("reasoning", this.#head.requestId, index);
    const place = { item_id: id, output_index: index, summary_index: 0 };
    this.#open = {
      id,
      kind: "reasoning",
      call: undefined,
      text: new GrowingText(),
      before: toBefore(summaryDelta, place),
    };
    return (
      this.#event("response.output_item.added", { output_index: index, item: toReasoningItem(id, undefined) }) +
      this.#event("response.reasoning_summary_part.added", { ...place, part: toSummaryPart("") })
    );
  }

  #beginMessage(): string {
    const index = this.#items.length;
    const id = toItemId("message", this.#head.requestId, index);
    const place = { item_id: id, output_index: index, content_index: 0 };
    this.#open = {
      id,
      kind: "message",
      call: undefined,
      text: new GrowingText(),
      before: toBefore(textDelta, { ...place, logprobs: [] }),
    };
    return (
      this.#event("response.output_item.added", {
        output_index: index,
        item: toMessageItem(id, "in_progress", undefined),
      }) + this.#event("response.content_part.added", { ...place, part: toTextPart("") })
    );
  }

  #beginCall(call: Omit<ToolCall, "arguments">): string {
    const index = this.#items.length;
    const id = toItemId(call.kind, this.#head.requestId, index);
    const before = toBefore(call.kind === "custom" ? inputDelta : argumentsDelta, { item_id: id, output_index: index });
    this.#open = { id, kind: "call", call, text: new GrowingText(), before };
    const item = toCallItem(id, "in_progress", { ...call, arguments: "" }, this.#request.namespaces);
    return this.#event("response.output_item.added", { output_index: index, item });
  }

  // The open item is over.
  #close(status: Status): string {
    const open = this.#open;
    if (!open) return "";
    this.#open = undefined;
    const index = this.#items.length;
    const item = toItem(open, status, this.#request);
    this.#items.push(item);
    return this.#closeText(open, index) + this.#event("response.output_item.done", { output_index: index, item });
  }

  #closeText({ id, kind, call, text }: Open, index: number): string {
    const place = { item_id: id, output_index: index };
    const whole = text.join();
    if (kind === "reasoning") {
      const at = { ...place, summary_index: 0 };
      return (
        this.#event("response.reasoning_summary_text.done", { ...at, text: whole }) +
        this.#event("response.reasoning_summary_part.done", { ...at, part: toSummaryPart(whole) })
      );
    }
    if (!call) {
      const at = { ...place, content_index: 0 };
      return (
        this.#event("response.output_text.done", { ...at, text: whole, logprobs: [] }) +
        this.#event("response.content_part.done", { ...at, part: toTextPart(whole) })
      );
    }
    if (call.kind === "custom") return this.#event("response.custom_tool_call_input.done", { ...place, input: whole });
    const name = this.#request.namespaces.get(call.name)?.name ?? call.name;
    return this.#event("response.function_call_arguments.done", { ...place, name, arguments: whole });
  }

  #event(type: string, fields: Readonly<Record<string, unknown>>): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#number++, ...fields })}\n\n`;
  }

  #whole(type: string, ending: Ending): string {
    return this.#about(type, this.#response(ending));
  }

  #response(ending: Ending): string {
    return `${this.#fixed},${JSON.stringify(toVarying(ending)).slice(1)}`;
  }

  #about(type: string, response: string): string {
    return `event: ${type}\ndata: {"type":"${type}","sequence_number":${this.#number++},"response":${response}}\n\n`;
  }
}

const textDelta = "response.output_text.delta";
const argumentsDelta = "response.function_call_arguments.delta";
const summaryDelta = "response.reasoning_summary_text.delta";
const inputDelta = "response.custom_tool_call_input.delta";

function toBefore(type: string, fields: Readonly<Record<string, unknown>>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},"sequence_number":`;
}

function toItem({ id, kind, call, text }: Open, status: Status, { namespaces }: ResponseRequest): unknown {
  const whole = text.join();
  if (kind === "reasoning") return toReasoningItem(id, whole);
  return call ? toCallItem(id, status, { ...call, arguments: whole }, namespaces) : toMessageItem(id, status, whole);
}
