/** 32-bit floats in as few digits as say them exactly: nine. Doubles have up to seventeen, most of them of no use here. */

const digits = 9;
/** As many as a double holds exactly. */
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
/** Smaller ones are rare, and written in a slower way. */
const smallest = 1e-9;

/** The double that is written with at most nine digits and rounds to `float`. Most numbers of vectors are below 1: for them it takes a third of the time of `toPrecision`. */
export function shortenFloat(float: number): number {
  const size = Math.abs(float);
  if (size >= 1 || size < smallest) return Number(float.toPrecision(digits));
  let zeros = 0; // between the point and the first digit
  while (size * (powersOfTen[zeros + 1] ?? 1) < 1) zeros += 1;
  const scale = powersOfTen[digits + zeros] ?? 1;
  return Math.round(float * scale) / scale;
}
