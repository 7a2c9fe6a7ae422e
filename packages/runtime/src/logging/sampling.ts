/** `DYN_LOG_SAMPLE_RATIO`: which requests are logged, decided from the request id alone, so that all processes decide alike. */

/** True if the lines of that request are written. */
export type LogSampler = (requestId: string) => boolean;

/** Keep about `ratio` (0 to 1) of all requests; who keeps a request at a ratio keeps it at any higher one. */
export function createLogSampler(ratio: number): LogSampler {
  if (ratio >= 1) return () => true;
  const limit = ratio * 2 ** 32;
  return (requestId) => hashRequestId(requestId) < limit;
}

/** u32: FNV-1a over the characters, then the finaliser of MurmurHash3, because ids made in sequence differ in few bits. */
export function hashRequestId(requestId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < requestId.length; index += 1)
    hash = Math.imul(hash ^ requestId.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
