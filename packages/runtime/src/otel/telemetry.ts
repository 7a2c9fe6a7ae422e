/** Trace export, on or off. The SDK is loaded here and nowhere else, and only when it is on. */
import { readSettings, type Environment } from "../settings/environment.ts";
import type { Logger } from "../logging/logger.ts";
import { offTracer } from "../trace/spans.ts";
import type { WallClock } from "../wall-clock.ts";
import type { Telemetry } from "./otlp.ts";
import { withSdk } from "./sdk.ts";
import { telemetrySettings, telemetrySwitches, toDestination } from "./settings.ts";

/** What the exporter needs of its runtime. */
export interface TelemetryOptions {
  readonly isEnabled: boolean;
  readonly environment: Environment;
  readonly log: Logger;
  /** Decimal u64. */
  readonly instanceId: string;
  readonly clock: WallClock;
}

/** Open the exporter, or nothing. @throws RuntimeError `invalid_argument` on a bad variable, or without the packages that export. */
export async function openTelemetry({
  isEnabled,
  environment,
  log,
  instanceId,
  clock,
}: TelemetryOptions): Promise<Telemetry> {
  const off: Telemetry = { tracer: offTracer, close: () => Promise.resolve() };
  if (!isEnabled) return off;
  const ownLog = log.child({ target: "dyn_runtime::telemetry" });
  const { isDisabled, exporter } = readSettings(telemetrySwitches, environment);
  if (isDisabled || exporter === "none") {
    ownLog.info(
      { by: isDisabled ? telemetrySwitches.isDisabled.env : telemetrySwitches.exporter.env },
      "trace export is turned off",
    );
    return off;
  }
  const config = readSettings(telemetrySettings, environment);
  return withSdk(toDestination(config).protocol, async () => {
    const { openOtlp } = await import("./otlp.ts");
    return openOtlp({ config, log: ownLog, instanceId, clock });
  });
}
