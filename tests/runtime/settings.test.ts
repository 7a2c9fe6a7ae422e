// Values as files of variables, scripts and URLs leave them: with what nobody sees around them, or with what does not belong to them.
import { describe, expect, test } from "vitest";
import { frontendSettings } from "../../packages/frontend/src/settings/frontend-settings.ts";
import { mockSettings } from "../../packages/mock-worker/src/options.ts";
import { upstreamSettings } from "../../packages/upstream-worker/src/options.ts";
import { readSettings } from "../../packages/runtime/src/settings/environment.ts";
import { runtimeSettings } from "../../packages/runtime/src/settings/runtime-settings.ts";
import {
  formatDefault,
  inUnits,
  mebibyte,
  numberSetting,
  type Variable,
} from "../../packages/runtime/src/settings/setting.ts";
import { telemetrySettings, telemetrySwitches } from "../../packages/runtime/src/otel/settings.ts";

// Of settings whose default says nothing of their values.
const samples: Readonly<Record<string, string>> = {
  DYN_NAMESPACE: "dynamo",
  DYN_COMPONENT: "backend",
  DYN_BAGGAGE_KEYS: "tenant,user",
  DYN_FORWARD_HEADERS: "x-tenant,x-user",
  DYN_RESPONSE_HEADERS: "x-ratelimit-*,x-kind",
  DYN_MOCK_FAULT: "cut@5,error:overloaded%0.1",
  DYN_LOG_EVENTS: "request_received=debug",
  DYN_TCP_ADVERTISE_HOST: "worker-1",
  DYN_TCP_TLS_SERVER_NAME: "worker-1",
  DYN_PLANE_TOKEN_FILE: "/run/token",
  DYN_API_KEYS_FILE: "/run/keys",
  DYN_EXPOSE: "/v1/greet=dyn://demo.greeter.generate",
  DYN_UPSTREAM_URL: "http://127.0.0.1:11434/v1",
  DYN_HTTP_CORS_ORIGINS: "https://chat.example:8443",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317",
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector:4317",
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc",
  OTEL_EXPORTER_OTLP_HEADERS: "a=b,c=d",
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: "a=b,c=d",
  OTEL_SERVICE_NAME: "chat",
  OTEL_RESOURCE_ATTRIBUTES: "a=b,c=d",
  OTEL_TRACES_SAMPLE_RATIO: "0.5",
};

const tables = [
  runtimeSettings,
  frontendSettings,
  mockSettings,
  upstreamSettings,
  telemetrySwitches,
  telemetrySettings,
];
const settings: readonly Variable<unknown>[] = tables.flatMap((table) => Object.values<Variable<unknown>>(table));
// Of a token the lines are read where it is used; a path may have any character but NUL.
const others = settings.filter(({ env }) => env !== "DYN_PLANE_TOKEN");
const withoutPaths = others.filter(({ env }) => !/TLS_(?:CERT|KEY|CA)|FILE|SCRIPT/.test(env));
const sampleOf = ({ env, default: fallback, shownDefault }: Variable<unknown>): string =>
  samples[env] ?? shownDefault ?? String(fallback);

test.each(others.map((setting) => [setting.env, setting] as const))(
  "blanks and line ends around the value of %s do not belong to it",
  (_env, setting) => {
    const sample = sampleOf(setting) || "sample";
    const plain = setting.parse(sample);
    for (const text of [`${sample}\n`, `${sample}\r\n`, ` \t${sample} `]) expect(setting.parse(text)).toEqual(plain);
  },
);

test.each(withoutPaths.map((setting) => [setting.env, setting] as const))(
  "a line end or another control character in the value of %s is refused",
  (_env, setting) => {
    const sample = sampleOf(setting) || "sample";
    for (const inside of ["\n", "\r\n", "\u0000", "\u001b"])
      expect(() => setting.parse(`${sample}${inside}${sample}`), JSON.stringify(inside)).toThrow();
  },
);

describe("a host", () => {
  const hosts = settings.filter(({ env }) => env.endsWith("HOST"));
  const read = (host: Variable<unknown>, value: string): unknown =>
    readSettings<{ host: unknown }>({ host }, { [host.env]: value }).host;

  test("of five settings may have the brackets of a URL, a line end, or neither", () => {
    expect(hosts.map(({ env }) => env).sort()).toEqual([
      "DYN_HTTP_HOST",
      "DYN_OPERATOR_HOST",
      "DYN_SYSTEM_HOST",
      "DYN_TCP_ADVERTISE_HOST",
      "DYN_TCP_RPC_HOST",
    ]);
    for (const host of hosts) {
      for (const value of ["::1", "[::1]", "[::1]\n"]) expect(read(host, value)).toBe("::1");
      for (const value of ["127.0.0.1", "0.0.0.0", "worker-1.example", "fe80::1%eth0"])
        expect(read(host, `${value}\n`)).toBe(value);
    }
  });

  test("is refused by name with a port, a scheme, a blank, or brackets around a name", () => {
    for (const host of hosts)
      for (const value of ["127.0.0.1:80", "[::1]:80", "http://worker", "[worker]", "[127.0.0.1]", "a b", " ", "a\nb"])
        expect(() => read(host, value)).toThrow(
          `${host.env}=${JSON.stringify(value)}: expected a host name or an address, without port`,
        );
  });

  // For Node it would be all addresses of the machine.
  test("to listen on that is empty is refused", () => {
    expect(() => readSettings(frontendSettings, {}, { httpHost: "" })).toThrow(
      '--http-host "": expected a host name or an address',
    );
    expect(() => readSettings(frontendSettings, {}, { operatorHost: "" })).toThrow(
      '--operator-host "": expected a host name or an address',
    );
    expect(() => readSettings(runtimeSettings, {}, { tcpHost: "" })).toThrow(
      '--tcp-host "": expected a host name or an address',
    );
    expect(() => readSettings(runtimeSettings, {}, { systemHost: "" })).toThrow(
      '--system-host "": expected a host name or an address',
    );
  });
});

test("a model's name keeps what is inside it", () => {
  expect(readSettings(mockSettings, {}, { modelName: " org/big  model: v2\n" }).modelName).toBe("org/big  model: v2");
  const longest = "😀".repeat(256);
  expect(readSettings(mockSettings, {}, { modelName: longest }).modelName).toBe(longest);
  for (const modelName of ["", " ", "\n", "x".repeat(257), "😀".repeat(257)])
    expect(() => readSettings(mockSettings, {}, { modelName })).toThrow(
      `--model-name ${JSON.stringify(modelName)}: expected 1 to 256 characters`,
    );
});

test("a setting in the units of people is an option in those of code", () => {
  const limit = inUnits(mebibyte, numberSetting("DYN_LIMIT_MB", "limit-mb", 32, [1, 64], "largest thing, MiB"));
  expect(readSettings({ limit }, {})).toEqual({ limit: 33_554_432 });
  expect(readSettings({ limit }, { DYN_LIMIT_MB: " 2\n" })).toEqual({ limit: 2_097_152 });
  expect(() => readSettings({ limit }, { DYN_LIMIT_MB: "65" })).toThrow(
    'DYN_LIMIT_MB="65": expected a whole number from 1 to 64',
  );
  expect(formatDefault(limit)).toBe("32");
});
