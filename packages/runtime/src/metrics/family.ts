/** Families of series: one name, one type, fixed label names. A series is found once by its labels and then kept by whoever counts in it.
 *  The counters of @prometheus-io/client hash their labels at every call, which is too dear for what is counted per token. */
import type { FamilySamples, Member, MetricsRegistry, MetricType, Sample } from "./registry.ts";
import { Counter, Gauge, Histogram, type Exemplar } from "./series.ts";

/** A value per label; `undefined` leaves the label out. */
export type Labels<Label extends string> = Readonly<Record<Label, string | undefined>>;

/** What a family is called. Names end in their unit, those of counters in `_total`. */
export interface FamilyOptions<Label extends string> {
  readonly registry: MetricsRegistry;
  readonly name: string;
  readonly help: string;
  /** Default none: a single series that exists from the start. */
  readonly labels?: readonly Label[];
}

/** A family whose values are counted by size. */
export interface HistogramFamilyOptions<Label extends string> extends FamilyOptions<Label> {
  /** Inclusive upper bounds, ascending, without infinity. */
  readonly buckets: readonly number[];
  /** Unix time in ms, for exemplars. Default `Date.now`. */
  readonly wallClock?: () => number;
}

/** One value of a series: the ending of its name, and labels of its own. */
export interface Reading {
  readonly suffix: string;
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}

interface Kind<Series> {
  readonly type: MetricType;
  readonly buckets?: readonly number[];
  create(): Series;
  read(series: Series): Iterable<Reading>;
}

export class Family<Label extends string, Series> implements Member {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly Label[];
  /** Of histograms. */
  readonly buckets: readonly number[] | undefined;
  #kind: Kind<Series>;
  #readers = new Set<() => void>();
  #series = new Map<string, { readonly labels: Readonly<Record<string, string>>; readonly series: Series }>();

  constructor({ registry, name, help, labels = [] }: FamilyOptions<Label>, kind: Kind<Series>) {
    this.name = name;
    this.help = help;
    this.type = kind.type;
    this.buckets = kind.buckets;
    this.labelNames = labels;
    this.#kind = kind;
    registry.add(this);
  }

  /** The series with these labels, made on first use. Keep it: finding it is not for the hot path. */
  with(labels: Labels<Label>): Series {
    const key = JSON.stringify(this.labelNames.map((name) => labels[name] ?? null));
    const found = this.#series.get(key);
    if (found) return found.series;
    const entries = this.labelNames.flatMap((name) =>
      labels[name] === undefined ? [] : [[name, labels[name]] as const],
    );
    const series = this.#kind.create();
    this.#series.set(key, { labels: Object.fromEntries(entries), series });
    return series;
  }

  /** Forget every series that has all of these labels. Who still holds one counts unseen. */
  remove(labels: Readonly<Partial<Record<Label, string>>>): void {
    const wanted = Object.entries(labels);
    for (const [key, { labels: has }] of this.#series) {
      if (wanted.every(([name, value]) => has[name] === value)) this.#series.delete(key);
    }
  }

  /** Call `refresh` before the series are read, to bring them up to date. Disposing ends it. */
  onRead(refresh: () => void): Disposable {
    this.#readers.add(refresh);
    return { [Symbol.dispose]: () => void this.#readers.delete(refresh) };
  }

  /** For the registry. */
  read(): FamilySamples {
    for (const refresh of this.#readers) refresh();
    const values: Sample[] = [];
    for (const { labels, series } of this.#series.values()) {
      for (const reading of this.#kind.read(series)) values.push(toSample(this.name, labels, reading));
    }
    const { name, help, type } = this;
    return { name, help, type, values };
  }
}

function toSample(
  name: string,
  labels: Readonly<Record<string, string>>,
  { suffix, labels: own, value, exemplar }: Reading,
): Sample {
  const sample = { metricName: `${name}${suffix}`, labels: own ? { ...labels, ...own } : labels, value };
  if (!exemplar) return sample;
  const { trace, value: observed, at } = exemplar;
  return {
    ...sample,
    exemplar: { labelSet: { trace_id: trace.traceId, span_id: trace.spanId }, value: observed, timestamp: at },
  };
}

// Whoever comes second to a registry, for instance another frontend of the same runtime, counts in the same family.
function open<Label extends string, Series>(options: FamilyOptions<Label>, kind: Kind<Series>): Family<Label, Series> {
  const found = options.registry.find(options.name);
  if (found instanceof Family && found.type === kind.type) return found as Family<Label, Series>; // names and labels come in pairs
  const family = new Family<Label, Series>(options, kind);
  if (family.labelNames.length === 0) family.with({} as Labels<Label>); // Label is never: there are none
  return family;
}

function readValue({ value }: { readonly value: number }): Iterable<Reading> {
  return [{ suffix: "", value }];
}

/** Open a family of counters: the one of this name, if it is there. */
export function createCounters<Label extends string = never>(options: FamilyOptions<Label>): Family<Label, Counter> {
  return open<Label, Counter>(options, { type: "counter", create: () => new Counter(), read: readValue });
}

/** Open a family of gauges: the one of this name, if it is there. */
export function createGauges<Label extends string = never>(options: FamilyOptions<Label>): Family<Label, Gauge> {
  return open<Label, Gauge>(options, { type: "gauge", create: () => new Gauge(), read: readValue });
}

/** Open a family of histograms: the one of this name, if it is there. */
export function createHistograms<Label extends string = never>(
  options: HistogramFamilyOptions<Label>,
): Family<Label, Histogram> {
  const { buckets, wallClock = Date.now } = options;
  return open(options, {
    type: "histogram",
    buckets,
    create: () => new Histogram(buckets, wallClock),
    read: readHistogram,
  });
}

function* readHistogram({ bounds, counts, exemplars, sum }: Histogram): Generator<Reading, void, void> {
  let total = 0;
  for (const [index, count] of counts.entries()) {
    total += count;
    yield { suffix: "_bucket", labels: { le: bounds[index] ?? "+Inf" }, value: total, exemplar: exemplars[index] };
  }
  yield { suffix: "_sum", value: sum };
  yield { suffix: "_count", value: total };
}
