/** Ids as people have them at hand. */
import { isUuid } from "@dyn/runtime/internal";

/** The id of an answer's body, `chatcmpl-…`, contains the request id; every other text stays as it is. */
export function toRequestId(text: string): string {
  const inner = /^(?:chatcmpl-|cmpl-|msg_|resp_)(.{32,36})$/.exec(text)?.[1];
  return inner !== undefined && isUuid(inner) ? inner : text;
}
