// Where spans go, as the variables say it, and how they become the SDK's.
import {
  ProxyTracerProvider,
  trace,
  type HrTime,
  type Span as SdkSpan,
  type SpanOptions,
  type Tracer as ApiTracer,
} from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { readSettings, type Environment } from "../../../packages/runtime/src/settings/environment.ts";
import { createLogger } from "../../support/logger.ts";
import { createRuntime, type Runtime } from "../../../packages/runtime/src/runtime.ts";
import { Decisions, SdkTracer } from "../../../packages/runtime/src/otel/sdk-tracer.ts";
import { telemetrySettings, toDestination } from "../../../packages/runtime/src/otel/settings.ts";
import { acceptTrace } from "../../../packages/runtime/src/trace/traceparent.ts";
import { eventually } from "../../support/cluster.ts";
import { startReceiver, type Receiver } from "../../e2e/otlp/receiver.ts";

function toMs([seconds, nanoseconds]: HrTime): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}

function destinationOf(environment: Environment): ReturnType<typeof toDestination> {
  return toDestination(readSettings(telemetrySettings, environment));
}

describe("the destination of spans", () => {
  test.each<[Environment, string, string]>([
    [{}, "grpc", "http://localhost:4317"],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" }, "http/protobuf", "http://localhost:4318/v1/traces"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel:9/" }, "grpc", "https://otel:9/"],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:9/in/", OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
      "http/protobuf",
      "http://otel:9/in/v1/traces",
    ],
    [
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://otel:9/x", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf" },
      "http/protobuf",
      "http://otel:9/x",
    ],
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc" },
      "grpc",
      "http://localhost:4317",
    ],
  ])("%j", (environment, protocol, url) => {
    expect(destinationOf(environment)).toMatchObject({ protocol, url });
  });

  test("headers are percent-decoded, and those for traces win", () => {
    const environment = {
      OTEL_EXPORTER_OTLP_HEADERS: "a=1, b = two%20words ,c=50%",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "a=x=y",
    };
    expect(destinationOf(environment).headers).toEqual({ a: "x=y", b: "two words", c: "50%" });
  });

  test.each<[Environment, string]>([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "otel:4317" }, 'OTEL_EXPORTER_OTLP_ENDPOINT="otel:4317": expected a URL'],
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" },
      'OTEL_EXPORTER_OTLP_PROTOCOL="http/json": expected one of grpc, http/protobuf',
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: "token" }, "OTEL_EXPORTER_OTLP_HEADERS=(hidden): expected key=value pairs"],
    [{ OTEL_RESOURCE_ATTRIBUTES: "a b=c" }, "expected key=value pairs"],
    [{ OTEL_TRACES_SAMPLER_ARG: "1.5" }, "expected a number from 0 to 1"],
    [{ OTEL_TRACES_SAMPLER: "jaeger_remote" }, "expected one of always_on, always_off, traceidratio"],
  ])("%j is refused", (environment, message) => {
    expect(() => destinationOf(environment)).toThrow(message);
  });
});

test("a span begins when the clock says so, and lasts as long as it did, also if the clock is set meanwhile", () => {
  const times: number[] = [];
  const tell = (time: unknown): void => void times.push(toMs(time as HrTime));
  const theirs: Pick<SdkSpan, "spanContext" | "isRecording" | "addEvent" | "end"> = {
    spanContext: () => ({ traceId: "", spanId: "", traceFlags: 1 }),
    isRecording: () => true,
    addEvent(_name, _attributes, time) {
      tell(time);
      return theirs as SdkSpan;
    },
    end: tell,
  };
  const sdk = {
    startSpan(_name: string, options?: SpanOptions) {
      tell(options?.startTime);
      return theirs as SdkSpan;
    },
  };
  let offset = 1_000_000_000;
  const clock = { now: () => offset + performance.now(), offset: () => offset };
  const tracer = new SdkTracer(
    sdk as ApiTracer,
    new Decisions({ shouldSample: () => expect.fail("the decision was made with the trace") }),
    clock,
  );
  const startedAt = performance.now();
  const span = tracer.startSpan("first", "internal", acceptTrace(undefined, undefined), startedAt);
  offset += 3_600_000;
  span.addEvent("halfway", startedAt + 10);
  span.end();
  tracer.startSpan("second", "internal", acceptTrace(undefined, undefined), startedAt);
  const [began = 0, halfway, ended = 0, second] = times.map((ms) => ms - startedAt - 1_000_000_000);
  expect(began).toBeCloseTo(0, 2);
  expect(halfway).toBeCloseTo(10, 2);
  expect(ended).toBeGreaterThanOrEqual(0);
  expect(ended).toBeLessThan(3_600_000);
  expect(second).toBeCloseTo(3_600_000, 2);
});

describe("runtimes of one process", () => {
  function open(receiver: Receiver, records: Record<string, unknown>[]): Promise<Runtime> {
    const log = createLogger({ sink: (record) => void records.push(record) });
    return createRuntime({
      log: log.pino,
      config: { discoveryBackend: "mem" },
      environment: receiver.env("http/protobuf"),
    });
  }

  const foreign = "this process has an OpenTelemetry SDK already";

  test("export each for itself; spans of user code go with the first; nothing is left behind", async () => {
    await using receiver = await startReceiver();
    const records: Record<string, unknown>[] = [];
    {
      await using first = await open(receiver, records);
      await using second = await open(receiver, records);
      trace.getTracer("tests").startSpan("mine").end();
      for (const { tracer } of [first, second]) expect(tracer.isOn).toBe(true);
    }
    expect(receiver.spans().map(({ name }) => name)).toEqual(["mine"]);
    expect(records.some(({ message }) => String(message).startsWith(foreign))).toBe(false);
    expect(trace.getTracer("tests").startSpan("too late").isRecording()).toBe(false);
  });

  test.each(["http/protobuf", "grpc"] as const)(
    "send %s headers that they were given, and none of the process",
    async (protocol) => {
      await using receiver = await startReceiver();
      const own = "OTEL_EXPORTER_OTLP_HEADERS";
      process.env[own] = "x-own=secret";
      try {
        const environment = { ...receiver.env(protocol), [own]: "x-given=1" };
        await using _runtime = await createRuntime({ config: { discoveryBackend: "mem", log: "off" }, environment });
        trace.getTracer("tests").startSpan("mine").end();
        expect(process.env[own]).toBe("x-own=secret");
      } finally {
        delete process.env[own];
      }
      expect(receiver.headers).toHaveLength(1);
      expect(receiver.headers[0]).toHaveProperty("x-given");
      expect(receiver.headers[0]).not.toHaveProperty("x-own");
    },
  );

  test("what a handler reports that no attribute can hold costs the request nothing", async () => {
    await using receiver = await startReceiver();
    const records: Record<string, unknown>[] = [];
    {
      await using runtime = await open(receiver, records);
      await runtime.endpoint("dyn://test.report.one").serve(async function* (_request, context) {
        context.report({ usage: { a: 1 }, none: null, list: [{}], tokens: 7 } as never); // from plain JavaScript
        yield 1;
      });
      const items: unknown[] = [];
      for await (const item of runtime.client("dyn://test.report.one").generate({})) items.push(item);
      expect(items).toEqual([1]);
      await eventually("its line", () => records.some(({ message }) => message === "request completed"));
    }
    const span = receiver.spans().find(({ name }) => name === "handle_payload");
    expect(span?.attributes).toMatchObject({ tokens: 7 });
    expect(Object.keys(span?.attributes ?? {})).not.toContain("usage");
    expect(records.find(({ message }) => message === "request completed")).toMatchObject({
      usage: { a: 1 },
      tokens: 7,
      status: "success",
    });
  });

  test("beside an SDK of the program's own, say so, and leave it in charge", async () => {
    await using receiver = await startReceiver();
    const records: Record<string, unknown>[] = [];
    const theirs = new ProxyTracerProvider();
    trace.setGlobalTracerProvider(theirs);
    try {
      await (await open(receiver, records))[Symbol.asyncDispose]();
      expect(records.some(({ level, message }) => level === "WARN" && String(message).startsWith(foreign))).toBe(true);
      const registered = trace.getTracerProvider();
      expect(registered instanceof ProxyTracerProvider && registered.getDelegate()).toBe(theirs);
    } finally {
      trace.disable();
    }
  });
});
