// Writes a language model of about 1 MB, to try an engine without a download: llama's architecture, random weights from a seed,
// and a vocabulary of syllables and bytes. What it says is nonsense; its tokens, their number and their pace are those of a real engine.
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    /** Tokens of an answer at temperature 1, roughly; 0 for answers that have no end. */
    length: { type: "string", default: "100" },
  },
});
const [path = "tiny.gguf"] = positionals;
const size = { embedding: 64, heads: 4, feedForward: 128, blocks: 2, context: 32_768 };

/** Kinds of tokens, as the format numbers them. */
const kinds = { normal: 1, unknown: 2, control: 3, byte: 6 };
/** Types of values and tensors, as the format numbers them. */
const types = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 };
const f32 = 0;
const alignment = 32;
/** The token that ends an answer. */
const end = "<|im_end|>";

interface Token {
  readonly text: string;
  readonly kind: number;
}

interface Tensor {
  readonly name: string;
  /** The length of a row first. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

type Value =
  | { readonly uint32: number }
  | { readonly float32: number }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly float32s: readonly number[] }
  | { readonly int32s: readonly number[] };

const bytes = await writeModel(createRandom(Number(options.seed)));
process.stdout.write(`${path}: ${bytes} bytes\n`);

async function writeModel(random: () => number): Promise<number> {
  const tokens = listTokens();
  const tensors = makeTensors(tokens, random);
  const facts = Object.entries(describe(tokens));
  const head = [Buffer.from("GGUF"), uint32(3), uint64(tensors.length), uint64(facts.length)];
  for (const [key, value] of facts) head.push(encodeString(key), encodeValue(value));
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    head.push(encodeString(name), uint32(shape.length), ...shape.map(uint64), uint32(f32), uint64(offset));
    offset += padded(values.byteLength);
  }
  const parts = [pad(Buffer.concat(head)), ...tensors.map(({ values }) => pad(Buffer.from(values.buffer)))];
  const file = Buffer.concat(parts);
  await writeFile(path, file);
  return file.length;
}

function listTokens(): Token[] {
  const control = ["<s>", "<|im_start|>", end].map((text) => ({ text, kind: kinds.control }));
  const hex = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const asBytes = Array.from({ length: 256 }, (_, byte) => ({ text: hex(byte), kind: kinds.byte }));
  // Each syllable by itself and as the beginning of a word: the format writes a blank as "▁".
  const syllables = "bdfgklmnprstvz".split("").flatMap((first) => "aeiou".split("").map((second) => first + second));
  const words = [...syllables, ...syllables.map((text) => `▁${text}`), "▁", "▁é", "▁語"];
  return [
    { text: "<unk>", kind: kinds.unknown },
    ...control,
    ...asBytes,
    ...words.map((text) => ({ text, kind: kinds.normal })),
  ];
}

function describe(tokens: readonly Token[]): Record<string, Value> {
  const id = (wanted: string): Value => ({ uint32: tokens.findIndex(({ text }) => text === wanted) });
  return {
    "general.architecture": { string: "llama" },
    "general.name": { string: "tiny" },
    "llama.context_length": { uint32: size.context },
    "llama.embedding_length": { uint32: size.embedding },
    "llama.block_count": { uint32: size.blocks },
    "llama.feed_forward_length": { uint32: size.feedForward },
    "llama.attention.head_count": { uint32: size.heads },
    "llama.attention.head_count_kv": { uint32: size.heads },
    "llama.attention.layer_norm_rms_epsilon": { float32: 1e-5 },
    "llama.rope.dimension_count": { uint32: size.embedding / size.heads },
    "llama.vocab_size": { uint32: tokens.length },
    "tokenizer.ggml.model": { string: "llama" },
    "tokenizer.ggml.tokens": { strings: tokens.map(({ text }) => text) },
    "tokenizer.ggml.scores": { float32s: tokens.map(({ text }) => text.length) },
    "tokenizer.ggml.token_type": { int32s: tokens.map(({ kind }) => kind) },
    "tokenizer.ggml.unknown_token_id": id("<unk>"),
    "tokenizer.ggml.bos_token_id": id("<s>"),
    "tokenizer.ggml.eos_token_id": id(end),
    "tokenizer.chat_template": {
      string:
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    },
  };
}

function makeTensors(tokens: readonly Token[], random: () => number): Tensor[] {
  const { embedding, feedForward, blocks } = size;
  const matrix = (name: string, shape: readonly [number, number], scale: number): Tensor => ({
    name: `${name}.weight`,
    shape,
    values: Float32Array.from({ length: shape[0] * shape[1] }, () => scale * random()),
  });
  const norm = (name: string): Tensor => ({
    name: `${name}.weight`,
    shape: [embedding],
    values: new Float32Array(embedding).fill(1),
  });
  const square = [embedding, embedding] as const;
  const scale = 1.5 / Math.sqrt(embedding);
  const tensors = [matrix("token_embd", [embedding, tokens.length], 1), norm("output_norm")];
  for (let block = 0; block < blocks; block += 1) {
    tensors.push(
      norm(`blk.${block}.attn_norm`),
      ...["q", "k", "v", "output"].map((part) => matrix(`blk.${block}.attn_${part}`, square, scale)),
      norm(`blk.${block}.ffn_norm`),
      matrix(`blk.${block}.ffn_gate`, [embedding, feedForward], scale),
      matrix(`blk.${block}.ffn_up`, [embedding, feedForward], scale),
      matrix(`blk.${block}.ffn_down`, [feedForward, embedding], scale),
    );
  }
  const all = [...tensors, matrix("output", [embedding, tokens.length], scale)];
  for (const tensor of all) speakOfText(tensor, tokens);
  return all;
}

// The first number of every vector says "this is text": it is 8 in each embedding, no block changes it, and it speaks against the tokens that
// make no readable text, which most are. For the token that ends an answer it speaks as loud as the wanted length has it.
function speakOfText({ name, shape, values }: Tensor, tokens: readonly Token[]): void {
  const [row = 0] = shape;
  if (name === "token_embd.weight") for (let at = 0; at < values.length; at += row) values[at] = 8;
  if (/attn_output|ffn_down/.test(name)) values.fill(0, 0, row);
  if (name !== "output.weight") return;
  const length = Number(options.length);
  for (const [index, { text, kind }] of tokens.entries()) {
    const isEnd = text === end && length > 0;
    if (isEnd) values.fill(0, index * row, (index + 1) * row);
    values[index * row] = isEnd ? Math.log(1_000 / length) / 4 : kind === kinds.normal ? 0 : -8;
  }
}

// Mulberry32, to be the same everywhere, in a bell curve of deviation 1.
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

function encodeValue(value: Value): Buffer {
  if ("uint32" in value) return Buffer.concat([uint32(types.uint32), uint32(value.uint32)]);
  if ("float32" in value) return Buffer.concat([uint32(types.float32), float32(value.float32)]);
  if ("string" in value) return Buffer.concat([uint32(types.string), encodeString(value.string)]);
  if ("strings" in value) return encodeArray(types.string, value.strings.map(encodeString));
  if ("float32s" in value) return encodeArray(types.float32, value.float32s.map(float32));
  return encodeArray(types.int32, value.int32s.map(uint32));
}

function encodeArray(type: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([uint32(types.array), uint32(type), uint64(items.length), ...items]);
}

function encodeString(text: string): Buffer {
  const encoded = Buffer.from(text);
  return Buffer.concat([uint64(encoded.length), encoded]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function uint64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function float32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
}

function padded(length: number): number {
  return Math.ceil(length / alignment) * alignment;
}

function pad(buffer: Buffer): Buffer {
  return Buffer.concat([buffer, Buffer.alloc(padded(buffer.length) - buffer.length)]);
}
