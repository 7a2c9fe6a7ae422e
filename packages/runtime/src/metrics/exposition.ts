/** Writes a registry as text, in one of Prometheus's two formats.
 *  https://prometheus.io/docs/instrumenting/exposition_formats/ and https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md */
import type { MetricsRegistry, Sample } from "./registry.ts";

/** Text 0.0.4, or OpenMetrics 1.0.0. */
export type MetricsFormat = "text" | "openmetrics";

const contentTypes: Readonly<Record<MetricsFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

interface MediaRange {
  readonly type: string;
  readonly version: string | undefined;
  readonly quality: number;
}

function parseRange(text: string): MediaRange {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const valueOf = (name: string): string | undefined =>
    parameters
      .find((parameter) => parameter.startsWith(`${name}=`))
      ?.slice(name.length + 1)
      .replaceAll('"', "");
  const quality = Number(valueOf("q") ?? 1);
  return { type, version: valueOf("version"), quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The format an Accept header asks for: OpenMetrics if it is named at least as highly as text, else text. */
export function chooseMetricsFormat(accept: string | undefined): MetricsFormat {
  let [openmetrics, text] = [0, 0];
  for (const { type, version, quality } of (accept ?? "").split(",").map(parseRange)) {
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0"))
      openmetrics = Math.max(openmetrics, quality);
    if (type === "text/plain" && (version === undefined || version === "0.0.4")) text = Math.max(text, quality);
  }
  return openmetrics > 0 && openmetrics >= text ? "openmetrics" : "text";
}

/** What a page leaves out. */
export interface RenderOptions {
  /** False leaves out the exemplars of OpenMetrics, which name the traces of requests. Default true. */
  readonly hasExemplars?: boolean;
}

/** Everything of `registry`, families in the order of their names. */
export async function renderMetrics(
  registry: MetricsRegistry,
  format: MetricsFormat,
  { hasExemplars = true }: RenderOptions = {},
): Promise<{ contentType: string; body: string }> {
  const lines: string[] = [];
  for (const { name, help, type, values } of await registry.read()) {
    const isRenamed = type === "counter" && format === "openmetrics"; // the family is called without the ending of its samples
    const family = isRenamed ? name.replace(/_total$/, "") : name;
    lines.push(`# HELP ${family} ${escape(help, format === "openmetrics")}`, `# TYPE ${family} ${type}`);
    const sampleName = isRenamed ? `${family}_total` : name;
    for (const { exemplar, ...sample } of values)
      lines.push(
        formatSample(sample, sampleName, format) +
          (hasExemplars && format === "openmetrics" ? formatExemplar(exemplar) : ""),
      );
  }
  if (format === "openmetrics") lines.push("# EOF");
  return { contentType: contentTypes[format], body: `${lines.join("\n")}\n` };
}

function formatSample(
  { metricName, labels = {}, value = 0 }: Partial<Sample>,
  name: string,
  format: MetricsFormat,
): string {
  return `${metricName ?? name}${formatLabels(labels, format)} ${formatNumber(value)}`;
}

function formatExemplar(exemplar: Sample["exemplar"]): string {
  if (!exemplar) return "";
  return ` # ${formatLabels(exemplar.labelSet, "openmetrics") || "{}"} ${formatNumber(exemplar.value)} ${exemplar.timestamp.toFixed(3)}`;
}

/** True for the labels that tell the lines of one series apart. */
function isBound(name: string): boolean {
  return name === "le" || name === "quantile";
}

// By name, but bounds come last.
function rankOf(name: string): string {
  return isBound(name) ? `~${name}` : name;
}

function formatLabels(labels: Readonly<Record<string, string | number>>, format: MetricsFormat): string {
  const entries = Object.entries(labels).sort(([left], [right]) => (rankOf(left) < rankOf(right) ? -1 : 1));
  if (entries.length === 0) return "";
  const texts = entries.map(
    ([name, value]) =>
      `${name}="${isBound(name) && typeof value === "number" ? formatBound(value, format) : escape(String(value), true)}"`,
  );
  return `{${texts.join(",")}}`;
}

// OpenMetrics wants the bounds of buckets to look like floats.
function formatBound(bound: number, format: MetricsFormat): string {
  return format === "openmetrics" && Number.isInteger(bound) ? bound.toFixed(1) : formatNumber(bound);
}

function formatNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

function escape(text: string, escapesQuotes: boolean): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return escapesQuotes ? escaped.replaceAll('"', '\\"') : escaped;
}
