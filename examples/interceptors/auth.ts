// Who may call: a client signs each request with a secret that both ends know, and an endpoint looks at it before anything else.
// The secret does not travel, and a signature is worth nothing for another request or another endpoint.
import { createHmac, timingSafeEqual } from "node:crypto";
import { RuntimeError, type InterceptedCall, type Interceptor } from "@dyn/runtime";

const member = "signature=";

/** The same at both ends: `client(address, { interceptors: [signed(secret)] })` and `serve(handler, { interceptors: [signed(secret)] })`. */
export function signed(secret: string): Interceptor {
  return (next) => (call) => {
    const signature = member + sign(secret, call);
    const members = call.baggage?.split(",").map((each) => each.trim()) ?? [];
    if (call.side === "client") {
      const others = members.filter((each) => !each.startsWith(member)); // of the request that this one is made for
      return next({ ...call, baggage: [...others, signature].join(",") });
    }
    if (members.some((each) => isSame(each, signature))) return next(call);
    call.log.warn("a request was refused, it is not signed");
    throw new RuntimeError("invalid_argument", "the request is not signed with the secret of this endpoint", {
      apiCode: "bad_signature",
    });
  };
}

function sign(secret: string, { address, requestId }: InterceptedCall): string {
  return createHmac("sha256", secret).update(`${address} ${requestId}`).digest("base64url");
}

function isSame(given: string, wanted: string): boolean {
  return given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));
}
