/** What `/v1/responses` answers, for the document of the API: loaded when somebody asks for it. */
import * as z from "zod";

const status = z.enum(["in_progress", "completed", "incomplete"]);
const nullable = (schema: z.ZodType): z.ZodType => z.union([schema, z.null()]);

const part = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()).max(0),
  logprobs: z.array(z.unknown()).max(0),
});
const call = {
  id: z.string(),
  status,
  call_id: z.string(),
  name: z.string(),
  namespace: z.string().optional().describe("If the tool is one of a namespace."),
};
const summaryPart = z.object({ type: z.literal("summary_text"), text: z.string() });
const item = z.union([
  z.object({
    id: z.string(),
    type: z.literal("reasoning"),
    summary: z.array(summaryPart).max(1).describe("What the model thought. Empty when it begins."),
  }),
  z.object({
    id: z.string(),
    type: z.literal("message"),
    status,
    role: z.literal("assistant"),
    content: z.array(part).max(1).describe("Empty when it begins."),
  }),
  z.object({ ...call, type: z.literal("function_call"), arguments: z.string().describe("JSON, as far as it goes.") }),
  z.object({ ...call, type: z.literal("custom_tool_call"), input: z.string() }),
]);

const usage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int().describe("Tokens that the engine found in its cache.") }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
  total_tokens: z.int(),
});

const response = z.object({
  id: z.string().describe("`resp_` and the request id."),
  object: z.literal("response"),
  created_at: z.int().describe("Unix time in seconds."),
  completed_at: nullable(z.int()).describe("Unix time in seconds, once it is whole."),
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  incomplete_details: nullable(z.object({ reason: z.enum(["max_output_tokens", "content_filter"]) })),
  error: nullable(z.object({ code: z.string(), message: z.string() })),
  model: z.string().describe("The model that was asked for."),
  output: z.array(item).describe("What the model said and called, in its order."),
  usage: nullable(usage).describe("Null until it is over, and if it has failed."),
  previous_response_id: nullable(z.string()),
  instructions: nullable(z.string()),
  tools: z.array(z.unknown()).describe("Those of the request whose kinds are known."),
  tool_choice: z.unknown().describe("As the request has it."),
  truncation: z.literal("disabled"),
  parallel_tool_calls: z.boolean(),
  text: z.looseObject({ format: z.unknown() }),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: z.int(),
  temperature: z.number(),
  reasoning: z.looseObject({}).describe("As the request has it."),
  max_output_tokens: nullable(z.int()),
  max_tool_calls: nullable(z.int()),
  store: z.boolean(),
  background: z.literal(false),
  service_tier: z.literal("default"),
  metadata: z.record(z.string(), z.string()),
  safety_identifier: nullable(z.string()),
  prompt_cache_key: nullable(z.string()),
  user: nullable(z.string()),
});

const head = { type: z.string().describe("The name of the event."), sequence_number: z.int().describe("From 0.") };

export const responseAnswers: Readonly<Record<string, z.ZodType>> = {
  Response: response,
  ResponseItem: item,
  Compaction: z.object({
    id: z.string(),
    object: z.literal("response.compaction"),
    created_at: z.int(),
    output: z
      .array(
        z.union([
          z.object({
            id: z.string(),
            type: z.literal("message"),
            status: z.literal("completed"),
            role: z.literal("user"),
            content: z.array(z.object({ type: z.literal("input_text"), text: z.string() })),
          }),
          z.object({ id: z.string(), type: z.literal("compaction"), encrypted_content: z.string() }),
        ]),
      )
      .describe("What the user said, and the summary: the beginning of the `input` to go on with."),
    usage,
  }),
  InputTokens: z.object({ object: z.literal("response.input_tokens"), input_tokens: z.int() }),
  DeletedResponse: z.object({ id: z.string(), object: z.literal("response"), deleted: z.literal(true) }),
  ResponseEvent: z.object({ ...head, response }),
  ResponseItemEvent: z.object({
    ...head,
    output_index: z.int().describe("Which item."),
    item: item.optional(),
    item_id: z.string().optional(),
    content_index: z.int().optional(),
    summary_index: z.int().optional(),
    part: z.union([part, summaryPart]).optional(),
    delta: z.string().optional().describe("What is added."),
    text: z.string().optional().describe("All of it."),
    name: z.string().optional(),
    arguments: z.string().optional().describe("All of them."),
    input: z.string().optional().describe("All of it."),
    logprobs: z.array(z.unknown()).max(0).optional(),
  }),
};
