/** Clients in a thread of their own: they connect and send while this thread, and whatever server is in it, stands still. */
import { Worker } from "node:worker_threads";

/** What became of one connection. */
export interface Seen {
  /** All that has come; characters are bytes. */
  text: string;
  /** Why it broke. */
  error: string | undefined;
  isClosed: boolean;
}

export interface OtherThread extends AsyncDisposable {
  /** Of the connections, in the order in which they were made. */
  readonly seen: readonly Seen[];
  /** Make connections until there are `count`, and write `bytes` to each. */
  write(count: number, bytes: string): void;
  /** Stand still until the system has all that is to be written. */
  standStill(): void;
}

const script = `
const { parentPort, workerData: { port, written } } = require("node:worker_threads");
const { connect } = require("node:net");
const sockets = [];
const dial = (index) => {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("data", (chunk) => parentPort.postMessage({ index, text: chunk.toString("latin1") }));
  socket.on("error", ({ code }) => parentPort.postMessage({ index, error: code }));
  socket.on("close", () => parentPort.postMessage({ index, isClosed: true }));
  return socket;
};
parentPort.on("message", ({ count, bytes }) => {
  while (sockets.length < count) sockets.push(dial(sockets.length));
  for (const socket of sockets) socket.write(bytes, () => {
    Atomics.add(written, 0, 1);
    Atomics.notify(written, 0);
  });
});`;

const patienceMs = 30_000;

/** Start it, without connections. */
export function startOtherThread(port: number): OtherThread {
  const written = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(script, { eval: true, workerData: { port, written } });
  const seen: Seen[] = [];
  let wanted = 0;
  worker.on("message", ({ index, text = "", ...more }: Partial<Seen> & { readonly index: number }) => {
    const one = seen[index];
    if (one) Object.assign(one, more, { text: one.text + text });
  });
  return {
    seen,
    write(count, bytes) {
      while (seen.length < count) seen.push({ text: "", error: undefined, isClosed: false });
      wanted += seen.length;
      worker.postMessage({ count, bytes }, []);
    },
    standStill() {
      for (let done = Atomics.load(written, 0); done < wanted; done = Atomics.load(written, 0)) {
        if (Atomics.wait(written, 0, done, patienceMs) === "timed-out") throw new Error("the other thread is stuck");
      }
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}
