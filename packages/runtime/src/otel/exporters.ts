/** The OTLP exporter for one destination; only the one that is used is loaded. */
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { RuntimeError } from "../errors.ts";
import { withoutVariables } from "../settings/environment.ts";
import { telemetrySettings, type Destination } from "./settings.ts";

/** The exporters would add those of the process to the headers that they are given, and they may be keys of another collector. */
const headerVariables = [telemetrySettings.headers.env, telemetrySettings.tracesHeaders.env];

/** What the exporters are not told here (certificates, compression) they read from the standard variables themselves.
 *  @throws RuntimeError `invalid_argument` on a header that cannot be sent, or a certificate that cannot be used. */
export async function createExporter(destination: Destination): Promise<SpanExporter> {
  try {
    return await loadExporter(destination);
  } catch (cause) {
    throw new RuntimeError(
      "invalid_argument",
      `OTLP exporter: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

async function loadExporter({ protocol, url, headers, timeoutMs: timeoutMillis }: Destination): Promise<SpanExporter> {
  switch (protocol) {
    case "grpc": {
      const { Metadata } = await import("@grpc/grpc-js");
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      return withoutVariables(headerVariables, () => new OTLPTraceExporter({ url, metadata, timeoutMillis }));
    }
    case "http/protobuf": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
      const options = { url, headers: { ...headers }, timeoutMillis };
      return withoutVariables(headerVariables, () => new OTLPTraceExporter(options));
    }
  }
}
