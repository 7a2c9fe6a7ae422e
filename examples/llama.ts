// A model from a GGUF file, run by llama.cpp in this process.
import { randomInt } from "node:crypto";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { GeneralChatWrapper, getLlama, LlamaLogLevel, resolveChatWrapper } from "node-llama-cpp";
import type { ChatHistoryItem, Token } from "node-llama-cpp";
import { createRuntime, RuntimeError } from "@dyn/runtime";
import { serveModel, type Message, type ModelRequest } from "@dyn/runtime/llm";

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    sequences: { type: "string", default: "2" }, // completions at a time
    context: { type: "string", default: "4096" }, // tokens of each, at most
    threads: { type: "string", default: "0" }, // 0: llama.cpp decides
  },
});
const [modelPath] = positionals;
if (modelPath === undefined) throw new Error("which model? node llama.ts FILE.gguf");

await using llama = await getLlama({ build: "never", logLevel: LlamaLogLevel.error }); // a server compiles nothing at its start
await using model = await llama.loadModel({ modelPath });
await using context = await model.createContext({
  sequences: Number(options.sequences),
  contextSize: { max: Number(options.context) },
  ...(options.threads !== "0" && { threads: Number(options.threads) }),
});
const { contextSize, batchSize, totalSequences } = context;
const free = Array.from({ length: totalSequences }, () => context.getSequence());
const chat = resolveChatWrapper(model) ?? new GeneralChatWrapper();
const vocabulary = [...model.iterateAllTokens()].length;

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGINT", "SIGTERM"] });
const served = {
  model: basename(modelPath, ".gguf"),
  contextLength: contextSize,
  requestLimit: totalSequences, // others wait for their turn
  migrationLimit: 3,
  countTokens: (_text: string, request: ModelRequest) => readPrompt(request).prompt.length,
};
const serving = await serveModel(runtime, served, async function* (request, { signal }) {
  const { prompt, ends } = readPrompt(request);
  if (prompt.length >= contextSize) throw tooLong(prompt.length);
  const made = readGenerated(request); // by another worker, which is gone
  const sequence = free.pop();
  if (!sequence) throw new RuntimeError("overloaded", "every sequence is in use");
  try {
    const known = [...prompt, ...made];
    await sequence.adaptStateToTokens(known.slice(0, -1), false); // what an earlier request began with as well is there already
    let read = sequence.nextTokenIndex;
    yield { text: "", usage: { promptTokens: prompt.length, cachedTokens: Math.min(read, prompt.length) } };
    for (; read < known.length - 1; read += batchSize) {
      signal.throwIfAborted(); // a long prompt takes long
      await sequence.evaluateWithoutGeneratingNewTokens(
        known.slice(read, Math.min(read + batchSize, known.length - 1)),
      );
    }
    const toText = createDecoder(known);
    for await (const token of sequence.evaluate(known.slice(-1), toSampling(request, made))) {
      if (ends.has(token)) break;
      made.push(token);
      yield { text: toText(token), tokenIds: [token] };
      if (prompt.length + made.length < contextSize) continue;
      yield { text: toText(), finishReason: "length" };
      return;
    }
    yield { text: toText() };
  } finally {
    free.push(sequence);
  }
});
await serving.closed;

function tooLong(length: number): RuntimeError {
  const message = `the prompt has ${length} tokens, and the context has room for ${contextSize} with the answer`;
  return new RuntimeError("invalid_argument", message, { apiCode: "context_length_exceeded", param: "messages" });
}

/** The prompt's tokens, and those that end the answer besides the ones that the model itself names. */
function readPrompt({ prompt, messages }: ModelRequest): { prompt: Token[]; ends: ReadonlySet<Token> } {
  if (prompt) return { prompt: readBare(prompt), ends: new Set() };
  const history = messages.map(toHistoryItem);
  if (messages.at(-1)?.role !== "assistant") history.push({ type: "model", response: [] }); // else the answer goes on there
  const { contextText, stopGenerationTriggers } = chat.generateContextState({ chatHistory: history });
  const triggers = stopGenerationTriggers.map((trigger) => trigger.tokenize(model.tokenizer));
  return {
    prompt: contextText.tokenize(model.tokenizer),
    ends: new Set(triggers.filter(({ length }) => length === 1).flat()),
  };
}

function readBare({ text, tokenIds }: NonNullable<ModelRequest["prompt"]>): Token[] {
  const wrong = tokenIds?.find((id) => id >= vocabulary);
  if (wrong !== undefined)
    throw new RuntimeError("invalid_argument", `the model has ${vocabulary} tokens, none is ${wrong}`, {
      param: "prompt",
    });
  const { bos, shouldPrependBosToken } = model.tokens;
  const tokens = tokenIds ? (tokenIds as Token[]) : model.tokenize(text);
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : [...tokens];
}

function toHistoryItem({ role, text }: Message): ChatHistoryItem {
  if (role === "assistant") return { type: "model", response: [text] };
  return role === "system" || role === "developer" ? { type: "system", text } : { type: "user", text };
}

function readGenerated({ generated }: ModelRequest): Token[] {
  if (!generated) return [];
  return generated.tokenIds ? ([...generated.tokenIds] as Token[]) : model.tokenize(generated.text);
}

function toSampling({ sampling }: ModelRequest, made: readonly Token[]) {
  const { temperature = 1, topP = 1, topK = 0, seed = randomInt(2 ** 32), ...penalties } = sampling;
  const { frequencyPenalty = 0, presencePenalty = 0 } = penalties;
  return {
    temperature,
    topP,
    topK,
    seed: Number(BigInt.asUintN(32, BigInt(seed))),
    ...((frequencyPenalty !== 0 || presencePenalty !== 0) && {
      repeatPenalty: { punishTokens: () => [...made], penalty: 1, frequencyPenalty, presencePenalty },
    }),
  };
}

/** Tokens are bytes: some hold half of a character, whose text comes with the next. Without a token: what is left. */
function createDecoder(before: readonly Token[]): (token?: Token) => string {
  let last = before.slice(-8);
  let held: Token[] = [];
  return (token) => {
    if (token !== undefined) held.push(token);
    const text = held.length > 0 ? model.detokenize(held, false, last) : "";
    if (token !== undefined && text.endsWith("\uFFFD") && held.length < 4) return "";
    last = [...last, ...held].slice(-8);
    held = [];
    return text;
  };
}
