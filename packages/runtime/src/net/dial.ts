/** Dials the listener of a worker. */
import { connect, type Socket } from "node:net";
import { RuntimeError } from "../errors.ts";

/** Dial an address. @throws RuntimeError `cannot_connect`. */
export async function dialSocket(host: string, port: number, timeoutMs: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new RuntimeError("cannot_connect", `${host}:${port} did not answer within ${timeoutMs} ms`)), timeoutMs);
  socket.once("connect", resolve);
  socket.once("error", (cause) => reject(new RuntimeError("cannot_connect", `cannot connect to ${host}:${port}: ${cause.message}`, { cause })));
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.removeAllListeners();
  }
}
