// Somebody in between, who knows no token: it can change a record or stand at an address, and passes on what both ends say.
import { readFileSync } from "node:fs";
import {
  connect as connectTcp,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemoryDiscovery } from "../../../packages/runtime/src/discovery/memory.ts";
import {
  parseAddress,
  toEndpointRecord,
  type EndpointRecord,
} from "../../../packages/runtime/src/discovery/records.ts";
import {
  createMemorySpace,
  createRuntime,
  type Runtime,
  type RuntimeConfig,
} from "../../../packages/runtime/src/index.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../support/logger.ts";
import { frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeHello, encodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import { createAuthority, type Authority, type Pem } from "../../support/certificates.ts";
import { decodeAll, write } from "../bytes.ts";
import { address, collect, config, failureOf } from "../peers.ts";

const planeToken = "a-token-that-the-relay-does-not-know";
const prompt = "a prompt for the worker alone";

let authority: Authority;
let ofWorker: Pem;
let ofRelay: Pem;
let planeTls: Partial<RuntimeConfig>;

beforeAll(async () => {
  authority = await createAuthority();
  [ofWorker, ofRelay] = [await authority.issue("worker"), await authority.issue("relay")];
  planeTls = { tcpTlsCert: ofWorker.cert, tcpTlsKey: ofWorker.key };
});
afterAll(() => authority[Symbol.dispose]());

interface Relay extends AsyncDisposable {
  readonly address: string;
  readonly connections: () => number;
  /** What it could read of what came from diallers. */
  readonly heard: () => string;
}

interface RelayOptions {
  /** Its certificate towards diallers, who trust the authority. Default: it speaks no TLS with them. */
  readonly certificate?: Pem;
  /** Whether it speaks TLS with the worker. */
  readonly isTls?: boolean;
  /** What it makes of the first bytes of a dialler. */
  readonly change?: (bytes: Buffer) => Buffer;
}

async function startRelay(
  port: number,
  { certificate, isTls = false, change = (bytes) => bytes }: RelayOptions = {},
): Promise<Relay> {
  const heard: Buffer[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const pass = (socket: Socket): void => {
    connections += 1;
    const onwards: Socket = isTls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connectTcp(port, "127.0.0.1");
    let isFirst = true;
    socket.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      onwards.write(isFirst ? change(chunk) : chunk);
      isFirst = false;
    });
    onwards.pipe(socket);
    for (const [end, other] of [
      [socket, onwards],
      [onwards, socket],
    ] as const) {
      open.add(end);
      end.on("error", () => undefined).on("close", () => other.destroy());
    }
  };
  const server: Server = certificate
    ? createTlsServer({ cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) }, pass)
    : createTcpServer(pass);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    heard: () => Buffer.concat(heard).toString("latin1"),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Members extends AsyncDisposable {
  readonly worker: Runtime;
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Write a record in the place of the worker's, as somebody who can write in the directory. */
  forge(record: EndpointRecord): Promise<void>;
  ask(): Promise<unknown[]>;
  readonly lines: Record<string, unknown>[];
}

async function startMembers(
  more: Partial<RuntimeConfig> = {},
  ofCaller: Partial<RuntimeConfig> = {},
): Promise<Members> {
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => void lines.push(line), filter: parseLogFilter("trace") });
  const start = (own: Partial<RuntimeConfig>): Promise<Runtime> =>
    createRuntime({
      config: { ...config, planeToken, ...own },
      memorySpace,
      log: log.pino,
      environment: {},
    });
  const [worker, caller] = await Promise.all([start(more), start(ofCaller)]);
  const serving = await worker.endpoint(address).serve(async function* () {
    yield "hello";
  });
  return {
    worker,
    id: serving.instanceId,
    address: serving.address,
    port: Number(serving.address.split(":")[1]),
    forge: async (record) => void (await createMemoryDiscovery(memorySpace, log).publish(record)),
    async ask() {
      const client = caller.client<object, unknown>(address);
      await client.waitForInstances();
      return collect(client.generate({ prompt }));
    },
    lines,
    async [Symbol.asyncDispose]() {
      await caller[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
    },
  };
}

function recordOf({ id }: Members, tcp: string, isTls = false): EndpointRecord {
  return toEndpointRecord(parseAddress(address), BigInt(id), { tcp, isTls });
}

const between = "somebody is in between";

async function expectRefusal(members: Members, relay: Relay, reason: string): Promise<void> {
  const failure = await failureOf(members.ask());
  expect(failure.code).toBe("cannot_connect");
  expect(failure.message).toContain(reason);
  expect(relay.connections()).toBeGreaterThan(0);
  expect(relay.heard()).not.toContain(prompt);
  expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  const warnings = members.lines.filter(
    ({ level, message }) => level === "WARN" && message === "connection ended with an error",
  );
  expect(warnings.map(({ error }) => String(error))).toEqual([expect.stringContaining(reason)]);
}

describe("without TLS, a relay whose address is in a changed record", () => {
  test("is told whom the caller means, and hears no request", async () => {
    await using members = await startMembers();
    await using relay = await startRelay(members.port);
    await members.forge(recordOf(members, relay.address));
    const whom = `the dialler means to reach ${members.id}@tcp://${relay.address}, which this process has not announced`;
    await expectRefusal(members, relay, whom);
  });

  test("cannot say that the caller means somebody else", async () => {
    await using members = await startMembers();
    const dialled = `${members.id}@tcp://${members.address}`;
    const change = (bytes: Buffer): Buffer => {
      const [frame] = decodeAll(bytes.subarray(preface.length));
      expect(frame?.type).toBe(frameTypes.HELLO);
      const hello = decodeHello(frame?.body ?? Buffer.alloc(0));
      return Buffer.concat([preface, write((writer) => encodeHello(writer, { ...hello, dialled }))]);
    };
    await using relay = await startRelay(members.port, { change });
    await members.forge(recordOf(members, relay.address));
    await expectRefusal(members, relay, between);
  });
});

describe("with TLS, a relay", () => {
  test("that the caller dials in the clear, since the record was changed, hears no request", async () => {
    await using members = await startMembers(planeTls);
    await using relay = await startRelay(members.port, { isTls: true });
    await members.forge(recordOf(members, relay.address));
    await expectRefusal(members, relay, `${members.id}@tcp://${relay.address}, which this process has not announced`);
  });

  test("is not even dialled by a caller that asks for TLS", async () => {
    await using members = await startMembers(planeTls, { tcpTlsRequired: true });
    await using relay = await startRelay(members.port, { isTls: true });
    await members.forge(recordOf(members, relay.address));
    const failure = await failureOf(members.ask());
    expect(failure.message).toBe(`${relay.address} offers no TLS, and --tcp-tls-required asks for it`);
    expect(relay.connections()).toBe(0);
    const said = members.lines.find(({ message }) => message === "instance cannot be reached, its circuit is open");
    expect(said).toMatchObject({ level: "WARN", error: failure.message });
  });

  test("with a certificate that the caller trusts, at an address of the worker, hears no request", async () => {
    await using members = await startMembers(planeTls, { tcpTlsCa: authority.ca });
    await using relay = await startRelay(members.port, { certificate: ofRelay, isTls: true });
    await using _announced = await members.worker.discovery.publish(recordOf(members, relay.address, true));
    await expectRefusal(members, relay, between);
  });

  test("that ends no TLS, at an address that the worker itself has announced, is a published port and serves", async () => {
    await using members = await startMembers(planeTls, { tcpTlsCa: authority.ca, tcpTlsRequired: true });
    await using relay = await startRelay(members.port);
    await using _announced = await members.worker.discovery.publish(recordOf(members, relay.address, true));
    expect(await members.ask()).toEqual(["hello"]);
    expect(relay.connections()).toBe(1);
    expect(relay.heard()).not.toContain(prompt);
  });
});

test("a worker whose record is withdrawn is reached by those who have read it", async () => {
  await using members = await startMembers();
  const { discovery } = members.worker;
  const registration = await discovery.publish(recordOf(members, members.address));
  await registration[Symbol.asyncDispose]();
  await members.forge(recordOf(members, members.address));
  expect(await members.ask()).toEqual(["hello"]);
});
