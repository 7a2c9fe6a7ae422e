/** Labels of an instance: what callers may choose it by. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";

/** Most labels of an instance. */
export const maxLabels = 16;

/** Value by name. */
export type InstanceLabels = Readonly<Record<string, string>>;

export const noLabels: InstanceLabels = Object.freeze({});

const namePattern = /^[a-z][a-z0-9_.-]{0,62}$/;
const valuePattern = /^[\u0021-\u007e]{1,128}$/;

/** Programs may give anything. @returns a copy. @throws RuntimeError `invalid_argument` naming the label and its limit. */
export function takeLabels(labels: InstanceLabels): InstanceLabels {
  const fault = findLabelFault(labels);
  if (fault !== undefined) throw new RuntimeError("invalid_argument", fault);
  return { ...labels };
}

/** Of a record of anybody. */
export function areLabels(value: unknown): value is InstanceLabels {
  return findLabelFault(value) === undefined;
}

/** True for an instance that has all that are wanted. */
export function hasLabels(labels: InstanceLabels, wanted: InstanceLabels): boolean {
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
}

function findLabelFault(labels: unknown): string | undefined {
  if (typeof labels !== "object" || labels === null || Array.isArray(labels))
    return `labels must be an object of texts, got ${describeValue(labels)}`;
  const entries: [string, unknown][] = Object.entries(labels);
  if (entries.length > maxLabels) return `labels must be at most ${maxLabels}, got ${countOf(entries.length, "label")}`;
  const name = entries.find(([each]) => !namePattern.test(each))?.[0];
  if (name !== undefined)
    return `the name of a label must be 1 to 63 of a-z, 0-9, _ . and -, a letter first, got ${describeValue(name)}`;
  const [of, value] = entries.find(([, each]) => typeof each !== "string" || !valuePattern.test(each)) ?? [];
  if (of === undefined) return undefined;
  return `the label ${of} must be 1 to 128 characters of visible ASCII, got ${describeValue(value)}`;
}
