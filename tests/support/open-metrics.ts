/** A strict reader of OpenMetrics text 1.0.0: what the standard forbids, throws. https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md */

export interface ExposedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar?: {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
    readonly at: number;
  };
}

export interface ExposedFamily {
  readonly name: string;
  type: string;
  help: string | undefined;
  readonly samples: ExposedSample[];
}

export class Exposed {
  readonly families: ReadonlyMap<string, ExposedFamily>;

  constructor(families: ReadonlyMap<string, ExposedFamily>) {
    this.families = families;
  }

  /** All samples of that name whose labels include `labels`. */
  find(name: string, labels: Readonly<Record<string, string>> = {}): ExposedSample[] {
    const all = [...this.families.values()].flatMap(({ samples }) => samples).filter((sample) => sample.name === name);
    return all.filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  }

  /** The sum of what `find` finds; 0 if nothing. */
  value(name: string, labels?: Readonly<Record<string, string>>): number {
    return this.find(name, labels).reduce((sum, { value }) => sum + value, 0);
  }
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total", "_created"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count", "_created"],
  summary: ["", "_sum", "_count", "_created"],
  unknown: [""],
};
const number = "(?:[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][-+]?\\d+)?|[-+]?Inf|NaN)";
const metadata = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s; // a line may hold other line ends than \n
// What follows a name and its labels: value, timestamp, exemplar.
const tail = new RegExp(`^ (${number})(?: (${number}))?(?: # (.*))?$`, "s");
const exemplarTail = new RegExp(`^ (${number})(?: (${number}))?$`);
// Label values may hold braces and blanks: a set ends at the first brace outside of quotes.
const labelSet = /^\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}/s;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;

function fail(line: string, reason: string): never {
  throw new Error(`${reason}: ${line}`);
}

function unescape(text: string): string {
  return text.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

function toNumber(text: string): number {
  return Number(text.replace("Inf", "Infinity"));
}

function parseLabels(text: string | undefined, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  if (text === undefined) return labels;
  const inner = text.slice(1, -1);
  label.lastIndex = 0;
  while (label.lastIndex < inner.length) {
    const match = label.exec(inner);
    if (!match) fail(line, "bad labels");
    const [, name = "", value = "", end] = match;
    if (Object.hasOwn(labels, name)) fail(line, `label ${name} twice`);
    if (end === "," && label.lastIndex === inner.length) fail(line, "comma after the last label");
    labels[name] = unescape(value);
  }
  return labels;
}

function parseSample(line: string): ExposedSample {
  const [name] = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line) ?? fail(line, "no name");
  const [set] = labelSet.exec(line.slice(name.length)) ?? [undefined];
  const [, value = "", timestamp, exemplarText] =
    tail.exec(line.slice(name.length + (set?.length ?? 0))) ?? fail(line, "no value");
  if (timestamp !== undefined) fail(line, "a timestamp, which we never write");
  const sample = { name, labels: parseLabels(set, line), value: toNumber(value) };
  return exemplarText === undefined ? sample : { ...sample, exemplar: parseExemplar(exemplarText, line) };
}

function parseExemplar(text: string, line: string): NonNullable<ExposedSample["exemplar"]> {
  const [set] = labelSet.exec(text) ?? fail(line, "exemplar without labels");
  const [, value = "", at = "NaN"] = exemplarTail.exec(text.slice(set.length)) ?? fail(line, "exemplar without value");
  const labels = parseLabels(set, line);
  const length = Object.entries(labels).reduce((sum, [name, labelValue]) => sum + name.length + labelValue.length, 0);
  if (length > 128) fail(line, "exemplar over 128 characters");
  return { labels, value: toNumber(value), at: toNumber(at) };
}

function keyOf({ name, labels }: ExposedSample, without?: string): string {
  const entries = Object.entries(labels).filter(([label]) => label !== without);
  return `${name}${JSON.stringify(entries.sort(([left], [right]) => (left < right ? -1 : 1)))}`;
}

function checkSample(family: ExposedFamily, sample: ExposedSample, line: string): void {
  const suffix = sample.name.slice(family.name.length);
  if (!sample.name.startsWith(family.name) || !suffixes[family.type]?.includes(suffix))
    fail(line, `does not belong to ${family.type} ${family.name}`);
  if (sample.exemplar && suffix !== "_bucket" && suffix !== "_total") fail(line, "exemplar where none is allowed");
  if (["_total", "_bucket", "_count"].includes(suffix) && !(sample.value >= 0)) fail(line, "not a count");
  if (suffix === "_bucket") checkBound(sample.labels["le"] ?? "", line);
  if (suffix === "" && family.type === "summary") checkQuantile(Number(sample.labels["quantile"]), line);
}

function checkBound(le: string, line: string): void {
  if (!/^(?:\+Inf|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)$/.test(le)) fail(line, "bad le");
  if (/^\d+$/.test(le)) fail(line, "le is not written as a float");
}

function checkQuantile(quantile: number, line: string): void {
  if (!(quantile >= 0 && quantile <= 1)) fail(line, "bad quantile");
}

function checkHistogram({ name, samples }: ExposedFamily): void {
  const series = Map.groupBy(
    samples.filter((sample) => sample.name === `${name}_bucket`),
    (sample) => keyOf(sample, "le"),
  );
  for (const [key, buckets] of series) {
    let [bound, count] = [Number.NEGATIVE_INFINITY, 0];
    for (const { labels, value, exemplar } of buckets) {
      const le = toNumber(labels["le"] ?? "");
      if (!(le > bound) || value < count) fail(key, `bucket ${labels["le"]} is out of order`);
      if (exemplar && !(exemplar.value > bound && exemplar.value <= le))
        fail(key, `exemplar ${exemplar.value} is not of bucket ${labels["le"]}`);
      [bound, count] = [le, value];
    }
    if (bound !== Number.POSITIVE_INFINITY) fail(key, "no bucket +Inf");
    const total = samples.find((sample) => keyOf(sample) === key.replace(`${name}_bucket`, `${name}_count`));
    if (total?.value !== count) fail(key, `_count is ${total?.value}, bucket +Inf ${count}`);
  }
}

class Reader {
  readonly families = new Map<string, ExposedFamily>();
  #seen = new Set<string>();
  #family: ExposedFamily | undefined;

  line(line: string): void {
    const [, keyword, name = "", rest = ""] = metadata.exec(line) ?? [];
    if (keyword !== undefined) return this.#metadata(keyword, this.#open(name, line), rest, line);
    const family = this.#family;
    if (line.startsWith("#") || !family) fail(line, "neither sample nor metadata");
    const sample = parseSample(line);
    checkSample(family, sample, line);
    this.#once(keyOf(sample), line);
    family.samples.push(sample);
  }

  #open(name: string, line: string): ExposedFamily {
    if (this.#family?.name === name) return this.#family;
    if (this.families.has(name)) fail(line, "family begins twice");
    this.#family = { name, type: "unknown", help: undefined, samples: [] };
    this.families.set(name, this.#family);
    return this.#family;
  }

  #metadata(keyword: string, family: ExposedFamily, rest: string, line: string): void {
    if (family.samples.length > 0) fail(line, "metadata after samples");
    this.#once(`${keyword} ${family.name}`, line);
    if (keyword === "HELP") {
      if (/(?<!\\)(?:\\\\)*(?:"|\\[^\\"n])/.test(rest)) fail(line, "bad escape");
      family.help = unescape(rest);
    }
    if (keyword === "TYPE") {
      if (!Object.hasOwn(suffixes, rest)) fail(line, "unknown type");
      family.type = rest;
    }
  }

  #once(key: string, line: string): void {
    if (this.#seen.has(key)) fail(line, "twice");
    this.#seen.add(key);
  }
}

/** @throws Error naming the line and what is wrong with it. */
export function parseOpenMetrics(text: string): Exposed {
  if (!text.endsWith("\n# EOF\n") && text !== "# EOF\n") throw new Error("does not end with # EOF");
  const reader = new Reader();
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) reader.line(line);
  for (const family of reader.families.values()) if (family.type === "histogram") checkHistogram(family);
  return new Exposed(reader.families);
}
