/** How long a client waits for the next token when its worker fails. */
import { request, type Agent } from "node:http";
import { openFleet } from "../tests/support/fleet.ts";
import type { Row } from "./table.ts";
import { toTimesRow } from "./times.ts";

const answers = 300;
const lanes = 10;
const crashes = 20;
const itlMs = 5;
const limit = { of: "p50", mostMs: 25 } as const;
const failsAt = 20;
/** Faults strike often here: no answer is to end because they did so too often. */
const role = ["--itl-ms", String(itlMs), "--migration-limit", "20"];
const text = Array.from({ length: 2 * failsAt }, (_, index) => `word${index}`).join(" ");

interface Stream {
  /** When each token came. */
  readonly tokensAt: readonly number[];
}

function read(agent: Agent, port: number, id: string): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const tokensAt: number[] = [];
    let raw = "";
    const headers = { "content-type": "application/json", "x-request-id": id };
    const options = { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers };
    const sent = request(options, (response) => {
      response.on("data", (chunk: Buffer) => {
        raw += chunk.toString();
        const tokens = raw.split('"content":"word').length + raw.split('"content":" word').length - 2 - tokensAt.length;
        for (let count = 0; count < tokens; count += 1) tokensAt.push(performance.now());
      });
      response.on("end", () =>
        tokensAt.length === 2 * failsAt
          ? resolve({ tokensAt })
          : reject(new Error(`${id} came to ${tokensAt.length} tokens: ${raw}`)),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ model: "mock", stream: true, messages: [{ role: "user", content: text }] }));
  });
}

/** Answers by client id, and which of them one worker began and another one ended. */
interface Reading {
  readonly streams: Map<string, Stream>;
  readonly resumed: Set<string>;
}

function createReading(): Reading & { readonly onLine: (line: string) => void } {
  const resumed = new Set<string>();
  const onLine = (line: string): void => {
    if (line.includes('"resumed_tokens"')) resumed.add((JSON.parse(line) as { x_request_id: string }).x_request_id);
  };
  return { streams: new Map(), resumed, onLine };
}

async function readAll(
  { streams }: Reading,
  ids: readonly string[],
  readOne: (id: string) => Promise<Stream>,
): Promise<void> {
  await Promise.all(ids.map(async (id) => void streams.set(id, await readOne(id))));
}

// The longest wait between two tokens, of the answers that needed more than one worker and of those that did not.
function toRows(name: string, { streams, resumed }: Reading): Row[] {
  const gaps: { readonly calm: number[]; readonly failed: number[] } = { calm: [], failed: [] };
  for (const [id, { tokensAt }] of streams) {
    const waits = tokensAt.slice(1).map((at, index) => at - (tokensAt[index] ?? at));
    gaps[resumed.has(id) ? "failed" : "calm"].push(Math.max(...waits));
  }
  return [
    toTimesRow(`longest gap, ${name}: undisturbed (tokens are ${itlMs} ms apart)`, gaps.calm),
    toTimesRow(`longest gap, ${name}: failed over`, gaps.failed, limit),
  ];
}

/** Three workers, each of which has the fault in a fifth of its answers. */
export async function measureFault(agent: Agent, fault: string): Promise<Row[]> {
  const record = createReading();
  await using fleet = await openFleet(record.onLine);
  const { port } = await fleet.addFrontend();
  for (let index = 0; index < 3; index += 1)
    await fleet.addWorker([...role, "--seed", String(index), "--fault", `${fault}@${failsAt}%0.2`]);
  for (let index = 0; index < answers; index += lanes) {
    const ids = Array.from({ length: lanes }, (_, lane) => `${fault}-${index + lane}`);
    await readAll(record, ids, (id) => read(agent, port, id));
  }
  await fleet.drain(); // their last lines say which were resumed
  return toRows(fault, record);
}

/** One worker that stays, and one after the other that crashes; of two requests one goes there, unless a probe of the last one takes its turn. */
export async function measureCrash(agent: Agent): Promise<Row[]> {
  const record = createReading();
  await using fleet = await openFleet(record.onLine);
  const { port } = await fleet.addFrontend();
  await fleet.addWorker(role);
  for (let index = 0; index < crashes; index += 1) {
    const { program } = await fleet.addWorker([...role, "--fault", `crash@${failsAt}`]);
    await readAll(record, [`crash-${index}-0`, `crash-${index}-1`], (id) => read(agent, port, id));
    program.kill("SIGKILL");
  }
  await fleet.drain();
  return toRows("crash", record);
}
