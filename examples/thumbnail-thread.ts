// A thread of the thumbnail service: makes one picture smaller.
import { parentPort, workerData } from "node:worker_threads";
import { convertIndexedToRgb, decode, encode } from "fast-png";

const { png, longestSide } = workerData as { png: Uint8Array; longestSide: number };
parentPort?.postMessage(answer(), []);

function answer(): object {
  try {
    return shrink();
  } catch (error) {
    return { error: error instanceof Error ? error.message : "it cannot be read" };
  }
}

function shrink(): { width: number; height: number; png: Uint8Array } {
  assertPixels();
  const image = decode(png);
  const { width: fullWidth, height: fullHeight, palette, depth } = image;
  const data = palette ? convertIndexedToRgb(image) : image.data;
  const channels = palette?.[0]?.length ?? image.channels;
  const scale = Math.min(1, longestSide / Math.max(fullWidth, fullHeight));
  const width = Math.max(1, Math.round(fullWidth * scale));
  const height = Math.max(1, Math.round(fullHeight * scale));
  const small = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  // Each pixel is the mean of those that it stands for.
  for (let y = 0; y < height; y += 1) {
    const [top, bottom] = span(y, height, fullHeight);
    for (let x = 0; x < width; x += 1) {
      const [left, right] = span(x, width, fullWidth);
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let row = top; row < bottom; row += 1)
          for (let column = left; column < right; column += 1)
            sum += data[(row * fullWidth + column) * channels + channel] ?? 0;
        small[(y * width + x) * channels + channel] = sum / ((bottom - top) * (right - left));
      }
    }
  }
  return { width, height, png: encode({ width, height, data: small, channels, depth: depth === 16 ? 16 : 8 }) };
}

// A few bytes may stand for more pixels than there is memory.
function assertPixels(): void {
  const header = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (header.length < 24) throw new Error("it has no header");
  const pixels = header.readUInt32BE(16) * header.readUInt32BE(20);
  if (pixels > 100_000_000) throw new Error(`it has ${pixels} pixels, the limit is 100 million`);
}

/** The rows, or columns, of the full picture that one of the small one stands for. */
function span(at: number, count: number, all: number): [from: number, to: number] {
  const from = Math.floor((at * all) / count);
  return [from, Math.max(from + 1, Math.floor(((at + 1) * all) / count))];
}
