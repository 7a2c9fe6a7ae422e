/** What the frontend counts. The label `model` is bounded: only a registered model has series of its own, and they go some time after it. */
import type { RuntimeMetrics } from "@dyn/runtime";
import { createDisconnectedClients, createFamilies, type FrontendFamilies } from "./families.ts";
import { ModelSeries } from "./model-series.ts";
import { RequestMeter } from "./request-meter.ts";
import { unknownModel, type RequestRecord } from "./request-record.ts";

/** More models than this are not remembered once they are gone. */
const maxGoneModels = 256;

/** What a model's card says, for its gauges. */
export interface ModelFacts {
  readonly name: string;
  readonly contextLength: number;
  readonly kvCacheBlockSize: number;
  readonly migrationLimit: number;
}

export interface FrontendMetricsOptions {
  readonly registry: RuntimeMetrics["registry"];
  /** First part of the names. */
  readonly prefix: string;
  /** The models that are served now. */
  readonly models: () => readonly ModelFacts[];
  /** Other values of the label `model`, whose series always stay. Default: none. */
  readonly lasting?: readonly string[];
  /** How long a model's series stay once it is gone, ms: long enough to be scraped. */
  readonly graceMs: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

export interface FrontendMetrics extends Disposable {
  /** A request has arrived. */
  begin(record: RequestRecord): RequestMeter;
}

/** Register all of them, or find them there: frontends of one runtime share them. */
export function createFrontendMetrics({
  registry,
  prefix,
  models,
  lasting = [],
  graceMs,
  now,
}: FrontendMetricsOptions): FrontendMetrics {
  const series = new Map<string, ModelSeries>();
  const families = createFamilies(registry, prefix);
  // The registry reads its members in the order they came: the first one brings all up to date.
  const reading = families.contextLength.onRead(() => {
    const current = models();
    showCards(families, current);
    dropGone(families, series, { served: namesOf(current), graceMs, now: now() });
  });
  const namesOf = (current: readonly ModelFacts[]): Set<string> =>
    new Set([...current.map(({ name }) => name), ...lasting, unknownModel]);
  const disconnected = createDisconnectedClients(registry, prefix);
  return {
    begin(record) {
      const { model } = record;
      let found = series.get(model);
      if (!found) {
        found = new ModelSeries(families, model);
        series.set(model, found);
        const served = namesOf(models());
        if (series.size > served.size + maxGoneModels) dropGone(families, series, { served, graceMs: 0, now: now() });
      }
      return new RequestMeter(found, disconnected, record);
    },
    [Symbol.dispose]: () => reading[Symbol.dispose](),
  };
}

function showCards(
  { contextLength, kvCacheBlockSize, migrationLimit }: FrontendFamilies,
  models: readonly ModelFacts[],
): void {
  for (const family of [contextLength, kvCacheBlockSize, migrationLimit]) family.remove({});
  for (const { name: model, ...facts } of models) {
    contextLength.with({ model }).set(facts.contextLength);
    kvCacheBlockSize.with({ model }).set(facts.kvCacheBlockSize);
    migrationLimit.with({ model }).set(facts.migrationLimit);
  }
}

// A request that still runs keeps the series of its model.
function dropGone(
  families: FrontendFamilies,
  series: Map<string, ModelSeries>,
  { served, graceMs, now }: { readonly served: ReadonlySet<string>; readonly graceMs: number; readonly now: number },
): void {
  for (const [model, its] of series) {
    if (served.has(model)) its.goneAt = undefined;
    else its.goneAt ??= now;
    if (its.goneAt === undefined || now - its.goneAt < graceMs || its.active.value > 0) continue;
    series.delete(model);
    for (const family of Object.values(families)) family.remove({ model });
  }
}
