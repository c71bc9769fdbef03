/** A canvas that fills its host, as sharp as the screen. */
export class Layer {
  readonly element = document.createElement("canvas");
  private readonly context2d = this.element.getContext("2d");
  width = 0;
  height = 0;
  density = 1;

  constructor(host: HTMLElement, className: string) {
    this.element.className = className;
    host.append(this.element);
  }

  get context(): CanvasRenderingContext2D {
    if (!this.context2d) throw new Error("this browser draws no canvas");
    return this.context2d;
  }

  /** True where that changed anything; the canvas is then empty. */
  resize(width: number, height: number, density: number): boolean {
    const [w, h] = [Math.round(width * density), Math.round(height * density)];
    const changed = this.element.width !== w || this.element.height !== h;
    [this.width, this.height, this.density] = [width, height, density];
    if (changed) [this.element.width, this.element.height] = [w, h];
    return changed;
  }

  /** Empty, and in CSS pixels. */
  begin(): CanvasRenderingContext2D {
    const { context } = this;
    context.setTransform(this.density, 0, 0, this.density, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }
}
