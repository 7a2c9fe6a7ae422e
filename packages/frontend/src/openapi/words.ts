/** What is said of a route, beside what its entry in the table says. */
import type { ErrorCode } from "@dyn/runtime";
import type { JsonSchema } from "../inference/described.ts";
import type { ErrorShape } from "./failures.ts";
import type { Parameter } from "./openapi.ts";

/** One kind of event of a stream. */
export interface StreamEvent {
  /** Undefined: there is no such line. */
  readonly event?: string;
  /** The name of the schema whose JSON it is, or the text that it is. */
  readonly data: { readonly schema: string } | { readonly text: string };
  readonly when: string;
}

export interface EventStreamWords {
  readonly events: readonly StreamEvent[];
  readonly example: string;
}

/** An answer that is no error. */
export interface AnswerWords {
  readonly status: number;
  readonly description: string;
  /** The name of the schema, or types with one of their own. Undefined: it has no body. */
  readonly json?: string;
  readonly text?: Readonly<Record<string, JsonSchema>>;
  readonly stream?: EventStreamWords;
  readonly headers?: readonly string[];
  readonly example?: unknown;
}

export interface RouteWords {
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  /** Names of headers that matter beside those of every request. */
  readonly headers?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly body?: { readonly schema: string; readonly examples: Readonly<Record<string, unknown>> };
  readonly answers: readonly AnswerWords[];
  /** Of its errors. */
  readonly shape: ErrorShape;
  /** How it fails beside what any request may meet. */
  readonly codes: readonly ErrorCode[];
}

/** Groups of routes, in their order. */
export const tags = {
  OpenAI: "OpenAI's API: its clients work as they are.",
  Anthropic: "Anthropic's API: its clients work as they are.",
  Endpoints: "Endpoints of one's own (`--expose`).",
  Models: "The models that are served, in the shape of either API.",
  Operation: "For those who operate the frontend, and for their probes.",
  Documentation: "What this is.",
} as const;

export type Tag = keyof typeof tags;
