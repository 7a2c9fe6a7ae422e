// Both text formats, from families of ours and metrics of @prometheus-io/client; and the strict reader that checks them.
import { Counter, Histogram, Registry, Summary } from "@prometheus-io/client";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseMetricsFormat, renderMetrics } from "../../../packages/runtime/src/metrics/exposition.ts";
import { createCounters, createGauges, createHistograms } from "../../../packages/runtime/src/metrics/family.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../../../packages/runtime/src/metrics/registry.ts";
import { parseOpenMetrics } from "../../support/open-metrics.ts";

const wallClock = (): number => 1_500_000_000_250;
const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

describe("the format that is asked for", () => {
  const prometheus3 =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
  test.each([
    [undefined, "text"],
    ["", "text"],
    ["*/*", "text"],
    ["text/html, */*;q=0.1", "text"],
    ["application/openmetrics-text", "openmetrics"],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"],
    ['Application/OpenMetrics-Text; Version="1.0.0"', "openmetrics"],
    ["application/openmetrics-text; version=0.0.1", "text"],
    ["application/openmetrics-text; version=2.0.0, text/plain", "text"],
    ["application/openmetrics-text;q=0", "text"],
    ["application/openmetrics-text;q=nonsense", "text"],
    ["application/openmetrics-text;q=0.5, text/plain;version=0.0.4", "text"],
    ["application/openmetrics-text;q=0.5, text/plain;version=0.0.4;q=0.4", "openmetrics"],
    [prometheus3, "openmetrics"],
  ])("%j gets %s", (accept, format) => {
    expect(chooseMetricsFormat(accept)).toBe(format);
  });
});

function fill(registry: MetricsRegistry): void {
  const counters = createCounters({
    registry,
    name: "b_requests_total",
    help: 'with "quotes", a \\ and\na line',
    labels: ["path", "code"],
  });
  counters.with({ path: "/x", code: undefined }).inc(3);
  counters.with({ path: 'a"b\\c\nd', code: "200" }).inc();
  createGauges({ registry, name: "c_level", help: "level" }).with({}).set(Number.NEGATIVE_INFINITY);
  const histograms = createHistograms({
    registry,
    name: "a_seconds",
    help: "times",
    buckets: [0, 0.5, 2],
    labels: ["model"],
    wallClock,
  });
  const histogram = histograms.with({ model: "m" });
  for (const value of [0, 0.5, 0.50001, 2]) histogram.observe(value);
  histogram.observe(7, 2);
  histogram.mark(0.50001, trace);
}

describe("what is written", () => {
  test("as text 0.0.4", async () => {
    const registry = createMetricsRegistry();
    fill(registry);
    const { contentType, body } = await renderMetrics(registry, "text");
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).toBe(`# HELP a_seconds times
# TYPE a_seconds histogram
a_seconds_bucket{model="m",le="0"} 1
a_seconds_bucket{model="m",le="0.5"} 2
a_seconds_bucket{model="m",le="2"} 4
a_seconds_bucket{model="m",le="+Inf"} 6
a_seconds_sum{model="m"} 17.00001
a_seconds_count{model="m"} 6
# HELP b_requests_total with "quotes", a \\\\ and\\na line
# TYPE b_requests_total counter
b_requests_total{path="/x"} 3
b_requests_total{code="200",path="a\\"b\\\\c\\nd"} 1
# HELP c_level level
# TYPE c_level gauge
c_level -Inf
`);
  });

  test("as OpenMetrics 1.0.0, with exemplars; the text after it is as before", async () => {
    const registry = createMetricsRegistry();
    fill(registry);
    const before = await renderMetrics(registry, "text");
    const { contentType, body } = await renderMetrics(registry, "openmetrics");
    expect(contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(body).toContain(
      '# HELP b_requests with \\"quotes\\", a \\\\ and\\na line\n# TYPE b_requests counter\nb_requests_total{path="/x"} 3\n',
    );
    expect(body).toContain(
      `a_seconds_bucket{model="m",le="2.0"} 4 # {span_id="${trace.spanId}",trace_id="${trace.traceId}"} 0.50001 1500000000.250\n`,
    );
    const exposed = parseOpenMetrics(body);
    expect(exposed.value("b_requests_total", { path: 'a"b\\c\nd', code: "200" })).toBe(1);
    expect(exposed.families.get("b_requests")).toMatchObject({
      type: "counter",
      help: 'with "quotes", a \\ and\na line',
    });
    expect(await renderMetrics(registry, "text")).toEqual(before);
  });

  test("metrics of @prometheus-io/client stand beside ours, in both formats", async () => {
    const registry = createMetricsRegistry();
    const theirs = new Registry(Registry.OPENMETRICS_CONTENT_TYPE); // only such a registry takes exemplars
    const registers = [theirs];
    const included = registry.include(theirs);
    new Counter({ name: "own_total", help: "own", labelNames: ["kind"], registers }).inc({ kind: "x" }, 2);
    new Counter({ name: "odd", help: "a counter without its ending", registers }).inc();
    const histogram = new Histogram({
      name: "own_seconds",
      help: "own",
      buckets: [1],
      labelNames: ["kind"],
      registers,
      enableExemplars: true,
    });
    histogram.observe({ labels: { kind: "x" }, value: 0.5, exemplarLabels: { kind: "y" } });
    new Summary({ name: "own_summary", help: "own", percentiles: [0.5], registers }).observe(3);
    createGauges({ registry, name: "ours", help: "ours" });
    const exposed = parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body);
    expect([...exposed.families.keys()]).toEqual(["odd", "ours", "own_seconds", "own_summary", "own"]);
    expect(exposed.value("own_total", { kind: "x" })).toBe(2);
    expect(exposed.value("odd_total")).toBe(1);
    expect(exposed.find("own_seconds_bucket", { le: "1.0", kind: "x" })[0]?.exemplar).toMatchObject({
      labels: { kind: "y" },
      value: 0.5,
    });
    expect((await renderMetrics(registry, "text")).body).toContain('# TYPE own_total counter\nown_total{kind="x"} 2\n');
    const answers = new Counter({ name: "answers_total", help: "by code", labelNames: ["code"], registers });
    answers.inc({ code: 200 }); // a number, but no bound of a bucket
    expect((await renderMetrics(registry, "openmetrics")).body).toContain('answers_total{code="200"} 1\n');
    await theirs.metrics(); // their own writer renames their counters for good
    expect(
      parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body).value("own_total", { kind: "x" }),
    ).toBe(2);
    included[Symbol.dispose]();
    expect((await renderMetrics(registry, "text")).body).not.toContain("own");
  });

  test("a name that is taken is refused to ours, and left out of a program's", async () => {
    const registry = createMetricsRegistry();
    createGauges({ registry, name: "same", help: "ours" });
    expect(() => createCounters({ registry, name: "same", help: "ours again" })).toThrow("is there already");
    const theirs = new Registry();
    for (const name of ["same", "other"]) new Counter({ name, help: "theirs", registers: [theirs] }).inc();
    registry.include(theirs);
    const { families } = parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body);
    expect([...families].map(([name, { help }]) => [name, help])).toEqual([
      ["other", "theirs"],
      ["same", "ours"],
    ]);
  });

  test("a registry may answer at once, and what is no family is left out", async () => {
    const registry = createMetricsRegistry();
    const family = { name: "old", help: "a", type: "gauge", values: [{ labels: {}, value: 1 }] };
    registry.include({ getMetricsAsJSON: () => [family, {}, { ...family, name: "odd", values: undefined }] });
    expect((await renderMetrics(registry, "text")).body).toBe("# HELP old a\n# TYPE old gauge\nold 1\n");
  });

  test("any label values and any help come back as they were", async () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom('"', "\\", "\n", "\r", "\u2028", "}", "{", ",", "=", " ", "#", "n"),
        fc.string({ unit: "grapheme", minLength: 1 }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(text, text), { selector: String, maxLength: 8 }),
        text,
        async (values, help) => {
          const registry = createMetricsRegistry();
          const counters = createCounters({ registry, name: "x_total", help: `.${help}`, labels: ["a", "b"] });
          const wanted = new Map(values.map(([a, b], index) => [JSON.stringify([a, b]), index + 1]));
          for (const [key, count] of wanted) {
            const [a, b] = JSON.parse(key) as [string, string];
            counters.with({ a, b }).inc(count);
          }
          const family = parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body).families.get("x");
          expect(family?.help).toBe(`.${help}`);
          expect(
            new Map(family?.samples.map(({ labels, value }) => [JSON.stringify([labels["a"], labels["b"]]), value])),
          ).toEqual(wanted);
        },
      ),
    );
  });
});

describe("the strict reader refuses", () => {
  const bucket = (...lines: string[]): string => ["# TYPE h histogram", ...lines, "# EOF", ""].join("\n");
  test.each([
    ["no end", "# TYPE a gauge\na 1\n"],
    ["something after the end", "# EOF\n\n"],
    ["an empty line", "# TYPE a gauge\na 1\n\n# EOF\n"],
    ["a counter without _total", "# TYPE a counter\na 1\n# EOF\n"],
    ["a negative counter", "# TYPE a counter\na_total -1\n# EOF\n"],
    ["a sample of another family", "# TYPE a gauge\nb 1\n# EOF\n"],
    ["the same sample twice", '# TYPE a gauge\na{x="1"} 1\na{x="1"} 2\n# EOF\n'],
    ["a family in two pieces", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n# EOF\n"],
    ["a type after samples", "# TYPE a gauge\na 1\n# HELP a x\n# EOF\n"],
    ["a bad escape", '# TYPE a gauge\na{x="\\t"} 1\n# EOF\n'],
    ["an open label set", '# TYPE a gauge\na{x="1 1\n# EOF\n'],
    ["a comma too many", '# TYPE a gauge\na{x="1",} 1\n# EOF\n'],
    ["NaN by another spelling", "# TYPE a gauge\na Nan\n# EOF\n"],
    ["an exemplar at a gauge", '# TYPE a gauge\na 1 # {x="1"} 1\n# EOF\n'],
    ["an exemplar of another bucket", bucket('h_bucket{le="1.0"} 1 # {x="1"} 2', 'h_bucket{le="+Inf"} 1', "h_count 1")],
    ["le as an integer", bucket('h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 1', "h_count 1")],
    ["falling buckets", bucket('h_bucket{le="1.0"} 2', 'h_bucket{le="+Inf"} 1', "h_count 1")],
    ["buckets without +Inf", bucket('h_bucket{le="1.0"} 1', "h_count 1")],
    ["a count that is not the last bucket", bucket('h_bucket{le="+Inf"} 1', "h_count 2")],
  ])("%s", (_name, text) => {
    expect(() => parseOpenMetrics(text)).toThrow();
  });
});
