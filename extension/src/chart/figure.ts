/** Figures as SVG, on paper, to be saved. Texts are nodes, so that a name from the data is never markup. */

import { PAPER } from './palette';

const SPACE = 'http://www.w3.org/2000/svg';
/** What XML has no sign for. */
const UNWRITABLE = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

type Attributes = Record<string, string | number | undefined>;

let ruler: CanvasRenderingContext2D | null = null;

/** Return how wide a text is in CSS pixels. */
export function widthOf(text: string, size = 12): number {
  ruler = ruler ?? document.createElement('canvas').getContext('2d');
  if (!ruler) {
    return text.length * size * 0.6;
  }
  ruler.font = `${size}px sans-serif`;
  return ruler.measureText(text).width;
}

/** Cut a text to a width. */
export function cutTo(text: string, width: number, size = 12): string {
  let shown = text;
  while (shown && widthOf(shown === text ? shown : `${shown}…`, size) > width) {
    shown = shown.slice(0, -1);
  }
  return shown === text ? text : `${shown}…`;
}

export class Figure {
  constructor(
    readonly width: number,
    readonly height: number
  ) {
    this._root = document.createElementNS(SPACE, 'svg');
    const attributes = { xmlns: SPACE, width, height, viewBox: `0 0 ${width} ${height}`, 'font-family': 'sans-serif' };
    set(this._root, attributes);
    this._to = this._root;
    this.add('rect', { width, height, fill: PAPER.surface });
  }

  /** Add an element. */
  add(name: string, attributes: Attributes, text = ''): SVGElement {
    const made = document.createElementNS(SPACE, name);
    set(made, attributes);
    if (text) {
      made.textContent = text.replace(UNWRITABLE, '\uFFFD');
    }
    this._to.append(made);
    return made;
  }

  /** Write a text. */
  text(x: number, y: number, text: string, more: Attributes = {}): void {
    this.add('text', { x: round(x), y: round(y), 'font-size': 12, fill: PAPER.ink, ...more }, text);
  }

  line(x1: number, y1: number, x2: number, y2: number, more: Attributes = {}): void {
    const ends = { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2) };
    this.add('line', { ...ends, stroke: PAPER.grid, ...more });
  }

  /** Draw a line through points; what is not finite is a gap. */
  path(points: Iterable<readonly [number, number]>, more: Attributes): void {
    let [drawn, isDown] = ['', false];
    for (const [x, y] of points) {
      const isKnown = Number.isFinite(x) && Number.isFinite(y);
      drawn += isKnown ? `${isDown ? 'L' : 'M'}${round(x)} ${round(y)}` : '';
      isDown = isKnown;
    }
    this.add('path', { d: drawn, fill: 'none', 'stroke-linejoin': 'round', ...more });
  }

  /** Show what is drawn inside only within a rectangle. */
  clipped(x: number, y: number, width: number, height: number, draw: () => void): void {
    const id = 'plot';
    const clip = this.add('clipPath', { id });
    const rect = document.createElementNS(SPACE, 'rect');
    set(rect, { x, y, width, height });
    clip.append(rect);
    const before = this._to;
    this._to = this.add('g', { 'clip-path': `url(#${id})` });
    draw();
    this._to = before;
  }

  toString(): string {
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(this._root)}\n`;
  }

  private _to: SVGElement;
  private readonly _root: SVGElement;
}

function set(element: SVGElement, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== '' && name !== 'xmlns') {
      element.setAttribute(name, String(value));
    }
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Return some round numbers between two ends. */
export function ticksBetween(low: number, high: number, most: number): number[] {
  const rough = (high - low) / Math.max(1, most);
  if (!(rough > 0) || !Number.isFinite(rough)) {
    return [low];
  }
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(part => part * power).find(one => one >= rough) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first;
  return Array.from({ length: Math.max(0, Math.min(50, count)) + 1 }, (_, k) => Number(((first + k) * step).toPrecision(12)));
}
