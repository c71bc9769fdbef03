/** Small pictures copied many times into one, pixel by pixel. */

/** The pixels of a small picture that are not empty: where they lie, and their colour with its opacity. */
export interface Stamp {
  readonly size: number;
  readonly dx: Uint8Array;
  readonly dy: Uint8Array;
  /** Red, green, blue, alpha; the colours not yet multiplied by alpha. */
  readonly rgba: Uint8ClampedArray;
}

const MADE = new Map<string, Stamp>();

/** `name` says all that its picture depends on: it is drawn once. */
export function stampOf(name: string, size: number, draw: (context: CanvasRenderingContext2D) => void): Stamp | null {
  const made = MADE.get(name);
  if (made) return made;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  draw(context);
  const stamp = stampFrom(context.getImageData(0, 0, size, size).data, size);
  MADE.set(name, stamp);
  return stamp;
}

export function stampFrom(data: Uint8ClampedArray, size: number): Stamp {
  const filled: number[] = [];
  for (let i = 0; i < size * size; i++) if ((data[4 * i + 3] ?? 0) > 0) filled.push(i);
  const rgba = new Uint8ClampedArray(4 * filled.length);
  filled.forEach((from, i) => rgba.set(data.subarray(4 * from, 4 * from + 4), 4 * i));
  return {
    size,
    dx: Uint8Array.from(filled, (i) => i % size),
    dy: Uint8Array.from(filled, (i) => Math.floor(i / size)),
    rgba,
  };
}

let sheetCanvas: HTMLCanvasElement | null = null;

export class PixelSheet {
  readonly data: Uint8ClampedArray<ArrayBuffer>;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }

  /** Over what is there, with its corner at a place in pixels; what lies outside is left out. */
  put({ dx, dy, rgba }: Stamp, left: number, top: number): void {
    const { data, width, height } = this;
    for (let i = 0; i < dx.length; i++) {
      const x = left + (dx[i] as number);
      const y = top + (dy[i] as number);
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = 4 * (y * width + x);
      const alpha = rgba[4 * i + 3] as number;
      const under = data[at + 3] as number;
      if (alpha === 255 || under === 0) {
        data[at] = rgba[4 * i] as number;
        data[at + 1] = rgba[4 * i + 1] as number;
        data[at + 2] = rgba[4 * i + 2] as number;
        data[at + 3] = alpha;
        continue;
      }
      // Source over, of colours that are not multiplied by their alpha.
      const rest = (under * (255 - alpha)) / 255;
      const sum = alpha + rest;
      for (let c = 0; c < 3; c++)
        data[at + c] = ((rgba[4 * i + c] as number) * alpha + (data[at + c] as number) * rest) / sum;
      data[at + 3] = sum;
    }
  }

  drawOn(context: CanvasRenderingContext2D, width: number, height: number): void {
    if (this.width === 0 || this.height === 0) return;
    const canvas = (sheetCanvas ??= document.createElement("canvas"));
    if (canvas.width !== this.width || canvas.height !== this.height)
      [canvas.width, canvas.height] = [this.width, this.height];
    canvas.getContext("2d")?.putImageData(new ImageData(this.data, this.width, this.height), 0, 0);
    context.drawImage(canvas, 0, 0, width, height);
  }
}
