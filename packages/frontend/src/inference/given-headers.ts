/** Headers of an answer that the worker's engine has given: those that the operator allows reach the client. */
import { keepResponseHeaders, type Exchange } from "@dyn/runtime/internal";
import type { RequestRecord } from "../observe/request-record.ts";
import { toAllowed } from "../settings/allowed-headers.ts";

type Headers = Readonly<Record<string, string>>;

/** Of what a worker has sent, which may be anything, that which belongs to the answer; undefined for nothing. */
export type PassHeaders = (exchange: Pick<Exchange, "commonHeaders">, sent: unknown) => Headers | undefined;

/** `names`: as the setting has them. */
export function createPassHeaders(names: readonly string[]): PassHeaders {
  if (names.length === 0) return () => undefined;
  const isAllowed = toAllowed(names);
  return ({ commonHeaders }, sent) => {
    const passed = Object.entries(keepResponseHeaders(sent) ?? {}).filter(([name]) => isAllowed(name));
    if (passed.length === 0) return undefined;
    const exposed = commonHeaders[expose];
    const shown = exposed !== undefined && { [expose]: [exposed, ...passed.map(([name]) => name)].join(", ") };
    return { ...Object.fromEntries(passed), ...shown };
  };
}

/** What pages of other origins may read. */
const expose = "access-control-expose-headers";

/** What the worker has said at its end, of the attempt that has ended the request. */
export function givenAtEnd({ answer, prefill }: RequestRecord): unknown {
  return (answer ?? prefill)?.reports.at(-1)?.trailer.headers;
}
