// What programs give in plain JavaScript: anything. What is no option, or cannot be its value, is refused by name.
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createRuntime, type ClientOptions, type RuntimeOptions, type ServeOptions } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { describe, expect, test } from "vitest";

const config = { discoveryBackend: "mem", log: "off" } as const;

async function* nothing(): AsyncGenerator<never> {}

describe("a setting in code", () => {
  test.each<[string, unknown, string]>([
    ["tcpPort", "8080", 'tcpPort must be a number, got "8080"'],
    ["tcpPort", 65_536, "tcpPort: expected a whole number from 0 to 65535, got 65536"],
    ["drainTimeoutMs", Number.NaN, "drainTimeoutMs: expected a whole number from 0 to 2147483647, got NaN"],
    ["tcpPingIntervalMs", 0, "tcpPingIntervalMs: expected a whole number from 10 to 2147483647, got 0"],
    ["memoryLimitBytes", -1, "memoryLimitBytes: expected a number from 0 to 1099511627776, got -1"],
    ["otelExportEnabled", "false", 'otelExportEnabled must be a boolean, got "false"'],
    ["discoveryBackend", "etcd", 'discoveryBackend: expected one of file, mem, got "etcd"'],
    ["logConsoleFormat", "json", 'logConsoleFormat: expected one of auto, readable, jsonl, got "json"'],
    ["systemAllowedHosts", "a.example", 'systemAllowedHosts must be a list, got "a.example"'],
    ["systemAllowedHosts", ["a b"], "systemAllowedHosts: expected "],
    ["planeToken", 12_345, "planeToken must be a string, got (hidden)"],
  ])("%s is held to what its variable is held to: %j", async (name, value, message) => {
    const made = createRuntime({ config: { ...config, [name]: value } });
    await expect(made).rejects.toMatchObject({ code: "invalid_argument", message: expect.stringContaining(message) });
  });

  test("of a frontend and of a mock worker is, too", async () => {
    await using runtime = await createRuntime({ config });
    const refused = [
      createFrontend({ runtime, httpPort: 0, httpOverloadStatusCode: 500 }),
      createFrontend({ runtime, httpPort: 0, httpBodyLimitBytes: 0 }),
      startMockWorker({ config, numWorkers: 0 }),
      startMockWorker({ config, fault: JSON.parse('["hang"]') }),
    ];
    const messages = await Promise.all(
      refused.map((made) =>
        made.then(
          () => "made",
          (error: Error) => error.message,
        ),
      ),
    );
    expect(messages).toEqual([
      "httpOverloadStatusCode: expected one of 529, 503, 429, got 500",
      "httpBodyLimitBytes: expected a number from 1 to 1073741824, got 0",
      "numWorkers: expected a whole number from 1 to 1000, got 0",
      expect.stringMatching(/^fault: expected KIND/),
    ]);
  });

  test("may be a name of a model with any characters", async () => {
    await using worker = await startMockWorker({ config, modelName: "a\u001bb\n" });
    expect(worker.servings).toHaveLength(1);
  });

  test("may be a part of the unit that its variable has", async () => {
    await using runtime = await createRuntime({ config: { ...config, memoryLimitBytes: 1_000 } });
    expect(runtime.config.memoryLimitBytes).toBe(1_000);
  });
});

describe("an option", () => {
  test.each<[string, string]>([
    ['{ "cofnig": 1 }', "cofnig is no option; did you mean config?"],
    ['{ "Config": 1 }', "Config is no option; did you mean config?"],
    ['{ "tcpPort": 0 }', "tcpPort is no option; did you mean config.tcpPort?"],
    ['{ "config": { "drainTimeout": 5 } }', "drainTimeout is no option; did you mean drainTimeoutMs?"],
    ['{ "config": { "pingInterval": 5 } }', "pingInterval is no option; did you mean tcpPingIntervalMs?"],
    ['{ "config": { "connectTimeoutMs": 5 } }', "connectTimeoutMs is no option; did you mean tcpConnectTimeoutMs?"],
    ['{ "config": { "colour": "red" } }', "colour is no option"],
  ])("%.40s that is none is refused with the one that was meant", async (options, message) => {
    await expect(createRuntime(JSON.parse(options))).rejects.toMatchObject({ code: "invalid_argument", message });
  });

  test.each<[string, string]>([
    ['{ "port": 0 }', "port is no option; did you mean httpPort or operatorPort?"],
    ['{ "bodyLimitMb": 1 }', "bodyLimitMb is no option; did you mean httpBodyLimitBytes?"],
    ['{ "httpBodyLimitMb": 1 }', "httpBodyLimitMb is no option; did you mean httpBodyLimitBytes?"],
  ])("%s of a frontend, too", async (options, message) => {
    await expect(createFrontend({ config, ...JSON.parse(options) })).rejects.toMatchObject({ message });
  });

  test.each<[string, string]>([
    ['{ "timeoutMS": 5 }', "timeoutMS is no option; did you mean timeoutMs?"],
    ['{ "timeout": 5 }', "timeout is no option; did you mean timeoutMs?"],
    ['{ "__proto__x": 5 }', "__proto__x is no option"],
    ['{ "toString": 5 }', "toString is no option"],
    ['{ "retry": { "attempt": 5 } }', "attempt is no option; did you mean attempts?"],
  ])("%s of a call is refused before anything is sent", async (options, message) => {
    await using runtime = await createRuntime({ config });
    using client = runtime.client("dyn://a.b.c");
    expect(() => client.generate({}, JSON.parse(options))).toThrow(message);
    await expect(client.call({}, JSON.parse(options))).rejects.toMatchObject({ code: "invalid_argument", message });
  });

  test("is a member of an object, and a signal one that can be waited for", async () => {
    const given = (json: string): never => JSON.parse(json) as never; // in plain JavaScript anything may be given
    const refused = (message: string): object => ({ code: "invalid_argument", message });
    await expect(createRuntime({ config, environment: given("true") })).rejects.toMatchObject(
      refused("environment must be an object, got true"),
    );
    await expect(createRuntime({ config, shutdownSignals: given('["SIGKILL"]') })).rejects.toMatchObject(
      refused('shutdownSignals must be names such as SIGTERM, or disconnect, got "SIGKILL"'),
    );
    await using runtime = await createRuntime({ config });
    expect(() => runtime.limit(given("4"))).toThrow("options must be an object, got 4");
    await expect(serveModel(runtime, given('"c"'), async () => ({ text: "" }))).rejects.toMatchObject(
      refused('options must be an object, got "c"'),
    );
  });

  test("that is none is refused, wherever options are taken", async () => {
    const misspelt = JSON.parse('{ "cofnig": 1 }') as RuntimeOptions & ClientOptions & ServeOptions<never>;
    const refusal = { code: "invalid_argument", message: expect.stringMatching(/^cofnig is no option/) };
    await expect(createRuntime({ config, ...misspelt })).rejects.toMatchObject(refusal);
    await using runtime = await createRuntime({ config });
    expect(() => runtime.client("dyn://a.b.c", misspelt)).toThrow(expect.objectContaining(refusal));
    await expect(runtime.endpoint("dyn://a.b.c").serve(nothing, misspelt)).rejects.toMatchObject(refusal);
  });

  test("that cannot be is refused: a limit, a count, a handler, a signal", async () => {
    await using runtime = await createRuntime({ config });
    const endpoint = runtime.endpoint("dyn://a.b.c");
    using client = runtime.client("dyn://a.b.c");
    const notHandler = JSON.parse("7") as typeof nothing;
    await expect(endpoint.serve(notHandler)).rejects.toThrow("the handler must be a function, got 7");
    await expect(endpoint.serve(nothing, { requestLimit: Number.NaN })).rejects.toThrow(
      "requestLimit must be a whole number from 0, got NaN",
    );
    await expect(client.waitForInstances({ count: Number.NaN })).rejects.toThrow("count must be a whole number");
    const signals = (text: string): RuntimeOptions => ({ config, shutdownSignals: JSON.parse(text) });
    await expect(createRuntime(signals('"SIGTERM"'))).rejects.toThrow('shutdownSignals must be a list, got "SIGTERM"');
    await expect(createRuntime(signals('["SIGFOO"]'))).rejects.toThrow(
      'shutdownSignals must be names such as SIGTERM, or disconnect, got "SIGFOO"',
    );
  });
});
