/** Details of an error, before they are sent. */
import { maxDetailsBytes, RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { payloadBytes } from "../wire/payload.ts";

/** What keeps the details of an error from being sent; undefined if nothing does. */
export function findBadDetails({ details }: RuntimeError): string | undefined {
  if (!details) return undefined;
  try {
    const bytes = payloadBytes(details);
    return bytes > maxDetailsBytes ? `they are ${bytes} bytes, the limit is ${maxDetailsBytes}` : undefined;
  } catch (error) {
    return toRuntimeError(error).message;
  }
}
