/** The families of a process, and metrics that a program makes with a package of its own. */

/** The types of Prometheus that are used here. */
export type MetricType = "counter" | "gauge" | "histogram" | "summary";

/** One value to be written. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?: {
    readonly labelSet: Readonly<Record<string, string>>;
    readonly value: number;
    readonly timestamp: number;
  };
}

/** A family and its values at one moment. */
export interface FamilySamples {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly Partial<Sample>[];
}

/** What the registry knows of a family. */
export interface Member {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  /** Of histograms. */
  readonly buckets: readonly number[] | undefined;
  read(): FamilySamples;
}

/** A registry of `@prometheus-io/client` or `prom-client`, whichever version. */
export interface ForeignRegistry {
  getMetricsAsJSON(): readonly object[] | Promise<readonly object[]>;
}

/** One per page of metrics. */
export interface MetricsRegistry {
  /** In the order they came. */
  readonly members: readonly Member[];
  find(name: string): Member | undefined;
  /** @throws Error if the name is taken. */
  add(member: Member): void;
  /** Serve the metrics of a registry of your own beside the runtime's, until disposed. A name that is there already is left out. */
  include(registry: ForeignRegistry): Disposable;
  /** All families in the order of their names. */
  read(): Promise<readonly FamilySamples[]>;
}

/** Create an empty registry. */
export function createMetricsRegistry(): MetricsRegistry {
  const members = new Map<string, Member>();
  const included = new Set<ForeignRegistry>();
  return {
    get members() {
      return [...members.values()];
    },
    find: (name) => members.get(name),
    add(member) {
      if (members.has(member.name)) throw new Error(`a metric named ${member.name} is there already`);
      members.set(member.name, member);
    },
    include(registry) {
      included.add(registry);
      return { [Symbol.dispose]: () => void included.delete(registry) };
    },
    async read() {
      const families = new Map([...members].map(([name, member]) => [name, member.read()]));
      for (const registry of included) {
        for (const family of (await registry.getMetricsAsJSON()).filter(isFamily)) {
          if (!families.has(family.name)) families.set(family.name, family);
        }
      }
      return [...families.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
    },
  };
}

// Every version of those packages answers with objects of this shape.
function isFamily(value: object): value is FamilySamples {
  const { name, help, type, values } = value as Partial<Record<keyof FamilySamples, unknown>>;
  return [name, help, type].every((text) => typeof text === "string") && Array.isArray(values);
}
