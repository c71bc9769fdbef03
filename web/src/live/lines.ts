/** A recording's lines from the pieces in which they come; one that ends within a line lost only that. */

const NEWLINE = 10;
/** Beyond it a line is no batch: it is skipped. */
export const LONGEST_LINE = 1 << 20;

export class Lines {
  private rest: Uint8Array[] = [];
  private held = 0;

  /** The lines that end in this piece, without their ends. */
  add(piece: Uint8Array): Uint8Array[] {
    const found: Uint8Array[] = [];
    let from = 0;
    for (let to = piece.indexOf(NEWLINE); to >= 0; to = piece.indexOf(NEWLINE, from)) {
      const line = this.joined(piece.subarray(from, to));
      if (line.length > 0) found.push(line);
      from = to + 1;
    }
    if (from < piece.length && this.held <= LONGEST_LINE) {
      this.rest.push(piece.slice(from));
      this.held += piece.length - from;
    }
    return found;
  }

  /** What came after the last end of a line, where that is whole in itself. */
  last(): Uint8Array[] {
    const line = this.joined(new Uint8Array(0));
    return line.length > 0 ? [line] : [];
  }

  private joined(end: Uint8Array): Uint8Array {
    if (this.rest.length === 0) return end;
    const line = new Uint8Array(this.held + end.length);
    let at = 0;
    for (const piece of [...this.rest, end]) {
      line.set(piece, at);
      at += piece.length;
    }
    this.rest = [];
    this.held = 0;
    return line;
  }
}
