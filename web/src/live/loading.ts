/** A recording from its address, in slices between which the page answers. */
import { Lines } from "./lines";

const SLICE_MS = 8;

export class NotThere extends Error {
  constructor(readonly status: number) {
    super(String(status));
  }
}

export interface Loading {
  readonly signal?: AbortSignal;
  /** Bytes that were read, of the recording as it is without compression. */
  readonly progress?: (bytes: number) => void;
}

/** Each line in its order. Returns how many there were. Raises :class:`NotThere`. */
export async function eachLine(address: string, take: (line: Uint8Array) => void, { signal, progress }: Loading = {}): Promise<number> {
  const answer = await fetch(address, { cache: "no-store", ...(signal ? { signal } : {}) });
  if (!answer.ok || !answer.body) throw new NotThere(answer.status);
  const reader = answer.body.getReader();
  const lines = new Lines();
  let [count, bytes] = [0, 0];
  let until = performance.now() + SLICE_MS;
  const all = async (found: readonly Uint8Array[]): Promise<void> => {
    for (const line of found) {
      take(line);
      count += 1;
      if (performance.now() < until) continue;
      progress?.(bytes);
      await pause();
      signal?.throwIfAborted();
      until = performance.now() + SLICE_MS;
    }
  };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    bytes += value.length;
    await all(lines.add(value));
  }
  await all(lines.last());
  progress?.(bytes);
  return count;
}

/** Lets the page do what waits, and comes back sooner than a timer would. */
function pause(): Promise<void> {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(0);
  });
}
