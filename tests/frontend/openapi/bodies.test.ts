// The document is true: what it says is a body is read as one, and what it says is none is refused, at every limit that it declares.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCountRequest, parseMessagesRequest } from "../../../packages/frontend/src/anthropic/messages-schema.ts";
import type { JsonSchema } from "../../../packages/frontend/src/inference/described.ts";
import { FieldError, type FieldLimits } from "../../../packages/frontend/src/inference/fields.ts";
import { parseChatRequest } from "../../../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../../../packages/frontend/src/openai/completions-schema.ts";
import { parseResponseRequest } from "../../../packages/frontend/src/openai/responses/request.ts";
import { createResponseStore } from "../../../packages/frontend/src/openai/responses/store.ts";
import { edgesOf, isRuleInWords, plainest } from "../../support/edges.ts";
import { createJudge, describeFrontend, plainFrontend } from "../../support/openapi.ts";

type Parse = (body: unknown, limits: FieldLimits) => unknown;

const keeper = createResponseStore({ maxEntries: 1, maxBytes: 1 }).of(undefined);
const limits = { ...plainFrontend.fieldLimits, maxMessages: 50, maxEchoBytes: 16 * 1024 * 1024 };
const document = describeFrontend("all", { fieldLimits: limits });
const judge = createJudge(document);

const bodies: readonly (readonly [string, Parse])[] = [
  ["ChatRequest", parseChatRequest],
  ["CompletionRequest", parseCompletionRequest],
  ["ResponseRequest", (body, given) => parseResponseRequest(body, given, keeper)],
  ["MessagesRequest", parseMessagesRequest],
  ["CountRequest", parseCountRequest],
];

function problemOf(parse: Parse, body: unknown): FieldError | undefined {
  try {
    parse(body, limits);
    return undefined;
  } catch (error) {
    if (error instanceof FieldError) return error;
    throw error;
  }
}

describe.each(bodies)("%s", (name, parse) => {
  const schema: JsonSchema = document.components.schemas[name] ?? {};
  const fields = Object.entries(schema.properties ?? {}) as [string, JsonSchema][];
  const plain = plainest(schema) as Record<string, unknown>;
  const isBody = (body: unknown): boolean => judge(`/components/schemas/${name}`)(body).length === 0;

  /** What a body is to the document must be what it is to the product. */
  function compare(body: Record<string, unknown>): { isTaken: boolean } {
    const problem = problemOf(parse, body);
    const isSaid = isBody(body);
    const isOfWords = isRuleInWords(problem?.message ?? "");
    if (isSaid !== (problem === undefined) && !isOfWords)
      throw new Error(`${JSON.stringify(body).slice(0, 2_000)}: ${problem?.message ?? "is taken"}`);
    return { isTaken: problem === undefined };
  }

  test("its plainest body is taken, also with fields that nobody knows", () => {
    expect(compare(plain)).toEqual({ isTaken: true });
    expect(compare({ ...plain, something_else: { of: "theirs" } })).toEqual({ isTaken: true });
  });

  test.each(fields)("%s is read within its limits, and refused beyond them by its name", (field, each) => {
    const edges = edgesOf(each);
    const isLimited = Object.keys(each).some((key) => key !== "description");
    let [taken, refused] = [0, 0];
    for (const edge of edges) {
      const body = { ...plain, [field]: edge };
      if (compare(body).isTaken) taken += 1;
      else {
        refused += 1;
        expect(problemOf(parse, body)?.param).toMatch(new RegExp(`^${field}\\b`));
      }
    }
    expect(taken).toBeGreaterThan(0);
    expect(refused > 0).toBe(isLimited);
    const { [field]: _, ...without } = plain;
    expect(compare(without)).toEqual({ isTaken: !(schema.required ?? []).includes(field) });
  });

  test("so are bodies of any such fields together", () => {
    const values = fields.map(([field, each]) => {
      const any = edgesOf(each).filter((edge) => JSON.stringify(edge).length < 10_000);
      const good = any.filter((edge) => isBody({ ...plain, [field]: edge }));
      const some = fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...good) }, fc.constantFrom(...any));
      return [field, fc.option(some, { nil: undefined })] as const;
    });
    const body = fc.record(Object.fromEntries(values)).map((given) => {
      const set = Object.entries(given).filter(([, value]) => value !== undefined);
      return { ...plain, ...Object.fromEntries(set) };
    });
    fc.assert(
      fc.property(body, (given) => void compare(given)),
      { numRuns: 200 },
    );
  });
});

test("whatever a message says, it is a message to both or to neither", () => {
  const part = fc.oneof(
    fc.record({ type: fc.constantFrom("text", "refusal", "tool_result", "document", "search_result", "image") }),
    fc.record({ type: fc.constant("text"), text: fc.string({ maxLength: 3 }) }),
    fc.record({ type: fc.constantFrom("tool_result", "search_result"), content: fc.constantFrom("x", null, [], 7) }),
    fc.record({
      type: fc.constant("document"),
      source: fc.constantFrom({ type: "text", data: "x" }, { type: "content", content: [] }, { type: "url" }, null, 7),
    }),
  );
  const content = fc.oneof(fc.constantFrom(null, undefined, "", "x", 7), fc.array(part, { maxLength: 2 }));
  const role = fc.constantFrom("system", "developer", "user", "assistant", "tool", "function", "wizard");
  const name = fc.constantFrom(undefined, null, "x", 7);
  const messages = fc.array(fc.record({ role, content, name }), { maxLength: 3 });
  for (const [schema, parse] of bodies) {
    if (schema === "CompletionRequest") continue;
    fc.assert(
      fc.property(messages, (given) => {
        const body = JSON.parse(JSON.stringify({ model: "m", max_tokens: 1, messages: given })) as unknown;
        const problem = problemOf(parse, body);
        if (isRuleInWords(problem?.message ?? "")) return;
        const said = judge(`/components/schemas/${schema}`)(body);
        if ((said.length === 0) !== (problem === undefined))
          throw new Error(`${JSON.stringify(body)}: ${problem?.message ?? "is taken"}, ${JSON.stringify(said)}`);
      }),
      { numRuns: 300 },
    );
  }
});
