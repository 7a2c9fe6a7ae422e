/** What open streams cost a frontend that has nothing to send them. */
import { Agent, request, type ClientRequest } from "node:http";
import { openFleet } from "../tests/support/fleet.ts";
import { residentMib } from "../tests/support/memory.ts";

const streams = 5_000;
const lanes = 100;
const hourMs = 3_600_000;

/** Open a stream; resolves after its first token. */
function open(agent: Agent, port: number): Promise<ClientRequest> {
  const body = JSON.stringify({ model: "mock", stream: true, messages: [{ role: "user", content: "one two" }] });
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request(
      { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers },
      (response) => {
        response.on("data", (chunk: Buffer) => chunk.includes('"content":"one"') && resolve(sent));
        response.on("error", () => undefined); // closed at the end
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

async function openMany(agent: Agent, port: number, count: number): Promise<ClientRequest[]> {
  const opened: ClientRequest[] = [];
  while (opened.length < count)
    opened.push(...(await Promise.all(Array.from({ length: lanes }, () => open(agent, port)))));
  return opened;
}

/** Resident memory that 1000 open streams cost a frontend, MiB: 5000 are open, each has had one token and waits for the next. */
export async function measureIdle(): Promise<number> {
  await using fleet = await openFleet(() => undefined);
  const { port, program } = await fleet.addFrontend([
    "--max-concurrent-requests",
    String(2 * streams),
    "--token-timeout-ms",
    "0",
  ]);
  await fleet.addWorker(["--itl-ms", String(hourMs), "--max-num-seqs", String(2 * streams)]);
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  try {
    for (const each of await openMany(agent, port, 10 * lanes)) each.destroy(); // until its code is compiled
    const before = residentMib(program.pid) ?? Number.NaN;
    const opened = await openMany(agent, port, streams);
    const cost = ((residentMib(program.pid) ?? Number.NaN) - before) / (opened.length / 1_000);
    for (const each of opened) each.destroy();
    return cost;
  } finally {
    agent.destroy();
  }
}
