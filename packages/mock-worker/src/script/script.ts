/** A script that is played: which of its rules a request meets. */
import type { RequestContext } from "@dyn/runtime";
import type { ModelRequest } from "@dyn/runtime/llm";
import { partsOf, RecentMap } from "@dyn/runtime/internal";
import type { Plan } from "../answers/plan.ts";
import { createFaultPlan, parseFaults, type Fault, type FaultPlan } from "../faults/faults.ts";
import { compileAnswer } from "./answer.ts";
import type { Fixture, Script } from "./format.ts";
import { Asked, compileMatch, type Matches } from "./match.ts";
import { readRules } from "./schema.ts";

/** What a script has for a request. */
export interface Found {
  /** Undefined if the mock's own rules are to answer. */
  readonly plan: Plan | undefined;
  readonly faults: readonly Fault[];
  /** Place of the rule that answers, in the script, from 0. */
  readonly rule: number | undefined;
}

export interface PlayedScript {
  /** As it was given. */
  readonly source: Script;
  /** Undefined if no rule is for it. */
  find(request: ModelRequest, context: RequestContext): Found | undefined;
}

interface Rule {
  readonly index: number;
  readonly matches: Matches;
  readonly plan: Plan | undefined;
  readonly faults: FaultPlan | undefined;
  readonly times: number;
  readonly sequenceIndex: number | undefined;
  /** Shared by rules whose matches are the same but for their `sequenceIndex`. */
  readonly group: { count: number };
  used: number;
}

/** Requests of which is remembered which rules they met, should they go on at another worker. */
const maxRemembered = 1_000;

/** `seed` decides which requests meet faults that have rates. @throws RuntimeError `invalid_argument` naming the path and the value that is wrong. */
export function playScript(source: unknown, seed: number): PlayedScript {
  const fixtures = readRules(source);
  const rules = compileRules(fixtures, seed);
  const script = source as Script; // readRules has seen all of it
  if (!fixtures.some(([, rule]) => rule.times !== undefined || rule.match?.sequenceIndex !== undefined))
    return { source: script, find: (request, context) => toFound(search(rules, toAsked(request, context))) };
  const choose = createCounting(rules);
  return { source: script, find: (request, context) => toFound(choose(request, context)) };
}

function toAsked(request: ModelRequest, { headers }: RequestContext): Asked {
  return new Asked(request, headers);
}

// All choices of a request meet the same rules, and are counted once. A request that goes on at another worker meets those it met before, unless they fail on purpose.
function createCounting(rules: readonly Rule[]): (request: ModelRequest, context: RequestContext) => readonly Rule[] {
  const ofChoices = new WeakMap<object, readonly Rule[]>();
  const ofRequests = new RecentMap<string, readonly Rule[]>(maxRemembered);
  return (request, context) => {
    const parts = partsOf(context);
    const known = ofChoices.get(parts);
    if (known) return known;
    const before = request.generated && ofRequests.get(context.requestId);
    const met = before && !before.some(fails) ? before : count(search(rules, toAsked(request, context)));
    ofChoices.set(parts, met);
    ofRequests.set(context.requestId, met);
    return met;
  };
}

function fails({ plan, faults }: Rule): boolean {
  return faults !== undefined || (plan?.blocks.some(({ type }) => type === "fault" || type === "error") ?? false);
}

function count(met: readonly Rule[]): readonly Rule[] {
  for (const rule of met) {
    rule.used += 1;
    rule.group.count += 1;
  }
  return met;
}

// Those that only say what goes wrong, as far as the first that answers, and that one.
function search(rules: readonly Rule[], asked: Asked): readonly Rule[] {
  const met: Rule[] = [];
  for (const rule of rules) {
    if (rule.used >= rule.times) continue;
    if (rule.sequenceIndex !== undefined && rule.sequenceIndex !== rule.group.count) continue;
    if (!rule.matches(asked)) continue;
    met.push(rule);
    if (rule.plan) break;
  }
  return met;
}

function toFound(met: readonly Rule[]): Found | undefined {
  if (met.length === 0) return undefined;
  const last = met.findLast(({ plan }) => plan);
  return { plan: last?.plan, faults: met.flatMap(({ faults }) => faults?.next() ?? []), rule: last?.index };
}

function compileRules(fixtures: ReturnType<typeof readRules>, seed: number): Rule[] {
  const groups = new Map<string, { count: number }>();
  return fixtures.map(([index, fixture]) => {
    const { sequenceIndex, ...match } = fixture.match ?? {};
    const key = JSON.stringify(Object.entries(match).toSorted(([one], [other]) => (one < other ? -1 : 1)));
    const group = groups.get(key) ?? { count: 0 };
    groups.set(key, group);
    const faults = toFaults(fixture);
    return {
      index,
      matches: compileMatch(match),
      plan: compileAnswer(fixture),
      faults: faults.length > 0 ? createFaultPlan(faults, seed + index) : undefined,
      times: fixture.times ?? Number.POSITIVE_INFINITY,
      sequenceIndex,
      group,
      used: 0,
    };
  });
}

function toFaults({
  fault = "",
  chaos: { dropRate = 0, malformedRate = 0, disconnectRate = 0 } = {},
}: Fixture): readonly Fault[] {
  const chaos: readonly Fault[] = [
    { type: "error", code: "internal", afterTokens: 0, rate: dropRate },
    { type: "garbage", afterTokens: 0, rate: malformedRate },
    { type: "cut", afterTokens: 1, rate: disconnectRate },
  ];
  return [...parseFaults(fault), ...chaos.filter(({ rate }) => rate > 0)];
}
