/** Schemas of a body, to the last digit: engines get them from the text they came in, since parsing rounds their numbers. */
import { parseExactJson, type ExactJson, type ModelJob } from "@dyn/runtime/internal";
import { readSources } from "../http/exact-json.ts";

/** A member of a body that becomes a field of the job. */
export interface ExactMember {
  /** Its name in the body. */
  readonly member: string;
  readonly field: keyof ExactJson;
  /** What engines see of it; undefined = nothing, another member says it. The body has been parsed before: `given` is what its schema takes. */
  readonly read: (given: unknown) => unknown;
}

/** The same request with its schemas as text. Nothing of `raw` is kept. */
export function keepExact<Request extends { readonly job: ModelJob }>(
  members: readonly ExactMember[] = [],
  request: Request,
  raw: unknown,
): Request {
  const wanted = members.filter(({ field }) => request.job[field] !== undefined);
  if (wanted.length === 0 || !Buffer.isBuffer(raw)) return request;
  const { tools: _, responseFormat: __, ...job } = request.job;
  const sources = readSources(raw, new Set(wanted.map(({ member }) => member)));
  const exactJson: Partial<Record<keyof ExactJson, string>> = {};
  for (const { member, field, read } of wanted) {
    const source = sources.get(member);
    const value = source === undefined ? undefined : read(parseExactJson(source, member));
    if (value !== undefined) exactJson[field] = JSON.stringify(value);
  }
  return { ...request, job: { ...job, exactJson } };
}
