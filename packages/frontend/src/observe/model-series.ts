/** All series of one model, found once. */
import type { Counter, Gauge, Histogram } from "@dyn/runtime/internal";
import type { FrontendFamilies } from "./families.ts";

export type RequestType = "unary" | "stream";

/** The series of one model that also tell the API and the kind of answer. */
export class RouteSeries {
  readonly started: Counter;
  #families: FrontendFamilies;
  #labels: { readonly model: string; readonly endpoint: string; readonly request_type: RequestType };
  #ended = new Map<string | undefined, Counter>();

  constructor(families: FrontendFamilies, model: string, endpoint: string, requestType: RequestType) {
    this.#families = families;
    this.#labels = { model, endpoint, request_type: requestType };
    this.started = families.started.with(this.#labels);
  }

  /** Requests that ended so; `errorType` undefined = well. */
  ended(errorType: string | undefined): Counter {
    const found = this.#ended.get(errorType);
    if (found) return found;
    const status = errorType === undefined ? "success" : "error";
    const counter = this.#families.requests.with({ ...this.#labels, status, error_type: errorType ?? "" });
    this.#ended.set(errorType, counter);
    return counter;
  }

  get cancellations(): Counter {
    return this.#families.cancellations.with(this.#labels);
  }

  get rejections(): Counter {
    return this.#families.rejections.with(this.#labels);
  }
}

export type HistogramName = "ttft" | "itl" | "inputTokens" | "cachedTokens" | "outputTokens";

export class ModelSeries {
  readonly active: Gauge;
  readonly inflight: Gauge;
  readonly queued: Gauge;
  readonly duration: Histogram;
  readonly outputTokensTotal: Counter;
  readonly retries: Counter;
  readonly resumptions: Counter;
  /** When the model was first seen to be gone (ms, monotonic); undefined while it is served. */
  goneAt: number | undefined;
  #families: FrontendFamilies;
  #model: string;
  #histograms: Partial<Record<HistogramName, Histogram>> = {};
  #routes = new Map<string, Partial<Record<RequestType, RouteSeries>>>();

  constructor(families: FrontendFamilies, model: string) {
    const labels = { model };
    this.active = families.active.with(labels);
    this.inflight = families.inflight.with(labels);
    this.queued = families.queued.with(labels);
    this.duration = families.duration.with(labels);
    this.outputTokensTotal = families.outputTokensTotal.with(labels);
    this.retries = families.migrations.with({ model, migration_type: "new_request" });
    this.resumptions = families.migrations.with({ model, migration_type: "ongoing_request" });
    this.#families = families;
    this.#model = model;
  }

  /** Made when first observed: not every model has all of them, and `unknown_model` none. */
  histogram(name: HistogramName): Histogram {
    return (this.#histograms[name] ??= this.#families[name].with({ model: this.#model }));
  }

  /** `endpoint` is one of the few names the frontend's routes have. */
  route(endpoint: string, requestType: RequestType): RouteSeries {
    let byType = this.#routes.get(endpoint);
    if (!byType) this.#routes.set(endpoint, (byType = {}));
    return (byType[requestType] ??= new RouteSeries(this.#families, this.#model, endpoint, requestType));
  }
}
