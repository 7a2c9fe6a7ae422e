/** Trace export, on or off. The SDK is loaded here and nowhere else, and only when it is on. */
import { readSettings, type Environment } from "../config.ts";
import type { Logger } from "../logging/logger.ts";
import { offTracer, type Tracer } from "../trace/spans.ts";
import type { WallClock } from "../wall-clock.ts";
import { telemetrySettings } from "./settings.ts";

/** Owned by the runtime, closed after everything that makes spans. */
export interface Telemetry {
  readonly tracer: Tracer;
  /** Export what is queued, for at most the time one export may take. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  readonly isEnabled: boolean;
  /** Default: the process's environment. */
  readonly environment: Environment | undefined;
  readonly log: Logger;
  /** Decimal u64. */
  readonly instanceId: string;
  readonly clock: WallClock;
}

/** Open the exporter, or nothing. @throws RuntimeError `invalid_argument` on a bad variable. */
export async function openTelemetry({ isEnabled, environment, log, instanceId, clock }: TelemetryOptions): Promise<Telemetry> {
  if (!isEnabled) return { tracer: offTracer, close: () => Promise.resolve() };
  const config = readSettings(telemetrySettings, environment);
  const { openOtlp } = await import("./otlp.ts");
  return openOtlp({ config, log: log.child({ target: "dyn_runtime::telemetry" }), instanceId, clock });
}
