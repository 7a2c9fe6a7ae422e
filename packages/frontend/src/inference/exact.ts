/** What engines get to the last digit: schemas, and fields that nobody knows. It is taken from the text of the body, since parsing rounds numbers. */
import { isMap, parseExactJson, type ExactJson, type ModelJob } from "@dyn/runtime/internal";
import { mayRound, readSources } from "../http/exact-json.ts";
import { toExtraJson } from "./extra.ts";

/** A member of a body that becomes a field of the job. */
export interface ExactMember {
  /** Its name in the body. */
  readonly member: string;
  readonly field: "tools" | "responseFormat";
  /** What engines see of it; undefined = nothing, another member says it. The body has been parsed before: `given` is what its schema takes. */
  readonly read: (given: unknown) => unknown;
}

/** A member of a body of which a job has JSON that was parsed and written anew, such as arguments of calls. */
export interface RewrittenMember {
  readonly member: string;
  readonly isIn: (job: ModelJob) => boolean;
}

/** `parse` a body; again with the numbers as they were, if some may have lost digits and they matter. @throws what `parse` throws. */
export function parseExactly<Request extends { readonly job: ModelJob }>(
  rewritten: RewrittenMember | undefined,
  body: unknown,
  raw: unknown,
  parse: (body: unknown) => Request,
): Request {
  const request = parse(body);
  if (!rewritten?.isIn(request.job) || !isMap(body) || !Buffer.isBuffer(raw) || !mayRound(raw)) return request;
  const { member } = rewritten;
  const source = readSources(raw, new Set([member])).get(member);
  return source === undefined ? request : parse({ ...body, [member]: parseExactJson(source, member) });
}

/** The same request with its schemas, and the fields named in `extra`, as text. Nothing of `raw` is kept. @throws FieldError for fields in `extra` that are too large. */
export function keepExact<Request extends { readonly job: ModelJob }>(
  members: readonly ExactMember[] = [],
  request: Request,
  raw: unknown,
  extra: readonly string[] = [],
): Request {
  const wanted = members.filter(({ field }) => request.job[field] !== undefined);
  if (wanted.length + extra.length === 0 || !Buffer.isBuffer(raw)) return request;
  const { tools: _, responseFormat: __, ...job } = request.job;
  const sources = readSources(raw, new Set([...wanted.map(({ member }) => member), ...extra]));
  const exactJson: { -readonly [Name in keyof ExactJson]: ExactJson[Name] } = {};
  for (const { member, field, read } of wanted) {
    const source = sources.get(member);
    const value = source === undefined ? undefined : read(parseExactJson(source, member));
    if (value !== undefined) exactJson[field] = JSON.stringify(value);
  }
  if (extra.length > 0) exactJson.extra = toExtraJson(extra, sources);
  return { ...request, job: { ...job, exactJson } };
}
