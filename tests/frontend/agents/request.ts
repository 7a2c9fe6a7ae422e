/** Requests as agents send them, reduced: the form is theirs, whatever it says. */

export interface AgentRequest {
  /** Who sends it, and when. */
  readonly name: string;
  readonly path: "/v1/chat/completions" | "/v1/messages" | "/v1/messages/count_tokens";
  readonly body: Readonly<Record<string, unknown>>;
  /** A text that the answer has. */
  readonly answer: string;
}

export const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** A mark of Anthropic's that means nothing here. */
export const ephemeral = { cache_control: { type: "ephemeral" } };
export const inputSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: { command: { type: "string" }, dangerouslyDisableSandbox: { type: "boolean" } },
  required: ["command"],
  additionalProperties: false,
};

export const user = { role: "user", content: "hello big world" };
