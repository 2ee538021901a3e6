/** Histograms of weights and gradients by stage, a panel a stage, newer ones in front. */

import { element } from './element';
import { cutTo, Figure } from './figure';
import { precise, short, thousands } from './numbers';
import { colour, ITheme, onThemeChange, PAPER, readTheme } from './palette';
import { ISaved, saveMenu } from './saving';
import type { JsonHistogram } from './store';

const HEIGHT = 110;
/** So many of the newest are drawn over each other. */
const LAYERS = 6;

export class HistogramPage {
  /** @param ask - asks the training to log histograms; `null` where nothing can be asked for */
  constructor(host: HTMLElement, ask: (() => void) | null) {
    this.node = element('div', 'tb-histograms');
    const tools = element('div', 'tb-tools');
    this._kind = element('select', 'tb-input');
    this._kind.setAttribute('aria-label', 'What the histograms are of');
    this._button = element('button', 'tb-button');
    this._button.type = 'button';
    this._button.textContent = 'Take histograms now';
    this._button.title = 'Logs the weights and gradients of every stage that trains, once, at the next step';
    this._words = element('span', 'tb-figure');
    tools.append(this._kind, this._button, this._words, saveMenu(() => this._saved()));
    this._panels = element('div', 'tb-grid tb-grid-small');
    this.node.append(tools, this._panels);
    host.append(this.node);
    this._kind.addEventListener('change', () => this._draw());
    this._button.addEventListener('click', () => {
      ask?.();
      this._words.textContent = 'asked for';
    });
    this._canAsk = ask !== null;
    this._forgetTheme = onThemeChange(this.node, () => this._draw());
    this._sizes = new ResizeObserver(() => this._draw());
    this._sizes.observe(this._panels);
  }

  readonly node: HTMLElement;

  /**
   * @param data - histograms by tag, such as `weights/head`
   * @param isLive - whether the run still trains, so that more can be asked for
   */
  update(data: Record<string, JsonHistogram[]>, isLive: boolean): void {
    this._button.hidden = !isLive || !this._canAsk;
    if (data === this._data) {
      return;
    }
    this._data = data;
    const tags = Object.keys(data);
    const kinds = [...new Set(tags.map(tag => tag.split('/')[0]))];
    const chosen = kinds.includes(this._kind.value) ? this._kind.value : kinds[0];
    this._kind.replaceChildren();
    for (const kind of kinds) {
      const option = element('option');
      option.value = kind;
      option.textContent = kind;
      this._kind.append(option);
    }
    this._kind.value = chosen ?? '';
    this._kind.hidden = kinds.length < 2;
    const steps = tags.flatMap(tag => data[tag].map(([step]) => step));
    this._words.textContent = steps.length
      ? `newest at step ${thousands(Math.max(...steps))}; older ones are fainter`
      : 'none were logged';
    this._draw();
  }

  private _saved(): ISaved {
    const tags = Object.keys(this._data ?? {}).filter(tag => tag.split('/')[0] === this._kind.value);
    const data = this._data ?? {};
    return {
      name: `histograms ${this._kind.value}`,
      figure: () => (tags.length ? histogramFigure(tags.map(tag => ({ tag, rows: data[tag].slice(-LAYERS) }))) : undefined),
      rows: () => [
        ['histogram', 'step', 'from', 'to', 'count'],
        ...tags.flatMap(tag =>
          data[tag].flatMap(([step, edges, counts]) => counts.map((count, k) => [tag, step, edges[k], edges[k + 1], count]))
        )
      ]
    };
  }

  destroy(): void {
    this._forgetTheme();
    this._sizes.disconnect();
    this.node.remove();
  }

  private _draw(): void {
    const kind = this._kind.value;
    const tags = Object.keys(this._data ?? {}).filter(tag => tag.split('/')[0] === kind);
    while (this._panels.children.length > tags.length) {
      this._panels.lastElementChild?.remove();
    }
    const theme = readTheme(this.node);
    tags.forEach((tag, index) => {
      let panel = this._panels.children[index];
      if (!panel) {
        panel = element('figure', 'tb-histogram');
        panel.append(element('figcaption'), element('canvas'));
        this._panels.append(panel);
      }
      const [caption, canvas] = [panel.firstElementChild as HTMLElement, panel.lastElementChild as HTMLCanvasElement];
      const rows = (this._data?.[tag] ?? []).slice(-LAYERS);
      const [, edges, counts] = rows[rows.length - 1];
      const { mean, deviation } = moments(edges, counts);
      const words = `mean ${precise(mean)}, standard deviation ${precise(deviation)}`;
      caption.replaceChildren();
      const name = element('strong');
      name.textContent = tag.split('/').slice(1).join('/');
      const figures = element('span', 'tb-figure');
      figures.textContent = ` ± ${rough(deviation)}`;
      caption.append(name, figures);
      caption.title = words;
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `Histogram of ${tag}: ${words}`);
      paint(canvas, rows, theme);
    });
  }

  private _data: Record<string, JsonHistogram[]> | null = null;
  private readonly _canAsk: boolean;
  private readonly _kind: HTMLSelectElement;
  private readonly _button: HTMLButtonElement;
  private readonly _words: HTMLElement;
  private readonly _panels: HTMLElement;
  private readonly _forgetTheme: () => void;
  private readonly _sizes: ResizeObserver;
}

function paint(canvas: HTMLCanvasElement, rows: readonly JsonHistogram[], theme: ITheme): void {
  const width = canvas.clientWidth;
  const ctx = canvas.getContext('2d');
  if (width < 20 || !ctx) {
    return;
  }
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  ctx.scale(ratio, ratio);
  const { curves, low, high, x, y, base } = placed(rows, width, HEIGHT);
  const stroke = colour(0, theme);
  rows.forEach(([, edges], layer) => {
    const isNewest = layer === rows.length - 1;
    ctx.globalAlpha = isNewest ? 1 : 0.15 + (0.35 * layer) / rows.length;
    ctx.strokeStyle = stroke;
    ctx.fillStyle = stroke;
    ctx.lineWidth = isNewest ? 1.5 : 1;
    ctx.beginPath();
    ctx.moveTo(x(edges[0]), base);
    curves[layer].forEach((density, i) => {
      ctx.lineTo(x(edges[i]), y(density));
      ctx.lineTo(x(edges[i + 1]), y(density));
    });
    ctx.lineTo(x(edges[edges.length - 1]), base);
    ctx.stroke();
    if (isNewest) {
      ctx.globalAlpha = 0.12;
      ctx.fill();
    }
  });
  ctx.globalAlpha = 1;
  ctx.strokeStyle = theme.grid;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(0, base + 0.5);
  ctx.lineTo(width, base + 0.5);
  ctx.stroke();
  ctx.fillStyle = theme.faint;
  ctx.font = `10px ${theme.font}`;
  ctx.textBaseline = 'alphabetic';
  ctx.textAlign = 'left';
  ctx.fillText(rough(low), 0, HEIGHT - 3);
  ctx.textAlign = 'right';
  ctx.fillText(rough(high), width, HEIGHT - 3);
  if (low < 0 && high > 0) {
    ctx.textAlign = 'center';
    ctx.fillText('0', x(0), HEIGHT - 3);
  }
}

/** Where densities stand in a panel of some width and height. */
function placed(rows: readonly JsonHistogram[], width: number, height: number) {
  const curves = rows.map(([, edges, counts]) => densities(edges, counts));
  const low = Math.min(...rows.map(([, edges]) => edges[0]));
  const high = Math.max(...rows.map(([, edges]) => edges[edges.length - 1]));
  const top = Math.max(1e-300, ...curves.map(curve => Math.max(...curve)));
  const base = height - 16;
  const x = (value: number): number => (high > low ? ((value - low) / (high - low)) * (width - 2) + 1 : width / 2);
  // Weights crowd around 0: the root shows the tails as well.
  const y = (density: number): number => base - Math.sqrt(density / top) * (base - 4);
  return { curves, low, high, x, y, base };
}

const PANEL = { width: 230, height: 130, across: 3, gap: 20, head: 34 };

/** Draw histograms, a panel a tag, on paper. */
function histogramFigure(panels: readonly { tag: string; rows: readonly JsonHistogram[] }[]): Figure {
  const { width, height, across, gap, head } = PANEL;
  const down = Math.ceil(panels.length / across);
  const figure = new Figure(gap + across * (width + gap), 10 + down * (height + head + 6));
  panels.forEach(({ tag, rows }, place) => {
    const left = gap + (place % across) * (width + gap);
    const top = head + Math.floor(place / across) * (height + head + 6);
    const { curves, low, high, x, y, base } = placed(rows, width, height);
    const stroke = colour(0, PAPER);
    figure.text(left, top - 8, cutTo(tag, width), { 'font-weight': 600 });
    rows.forEach(([, edges], layer) => {
      const opacity = layer === rows.length - 1 ? 1 : 0.15 + (0.35 * layer) / rows.length;
      const points = curves[layer].flatMap((density, k): [number, number][] => [
        [left + x(edges[k]), top + y(density)],
        [left + x(edges[k + 1]), top + y(density)]
      ]);
      figure.path(points, { stroke, 'stroke-opacity': opacity, 'stroke-width': opacity === 1 ? 1.5 : 1 });
    });
    figure.line(left, top + base, left + width, top + base, { stroke: PAPER.faint });
    figure.text(left, top + height - 3, rough(low), { 'font-size': 10, fill: PAPER.faint });
    figure.text(left + width, top + height - 3, rough(high), { 'font-size': 10, fill: PAPER.faint, 'text-anchor': 'end' });
  });
  return figure;
}

/** Two digits tell where a histogram ends. */
function rough(value: number): string {
  return short(Number(value.toPrecision(2)));
}

function densities(edges: readonly number[], counts: readonly number[]): number[] {
  const all = counts.reduce((sum, count) => sum + count, 0) || 1;
  return counts.map((count, i) => {
    const width = edges[i + 1] - edges[i];
    return width > 0 && Number.isFinite(width) ? count / all / width : 0;
  });
}

function moments(edges: readonly number[], counts: readonly number[]): { mean: number; deviation: number } {
  let [all, first, second] = [0, 0, 0];
  counts.forEach((count, i) => {
    const middle = (edges[i] + edges[i + 1]) / 2;
    if (Number.isFinite(middle)) {
      all += count;
      first += count * middle;
      second += count * middle * middle;
    }
  });
  const mean = all ? first / all : NaN;
  return { mean, deviation: all ? Math.sqrt(Math.max(0, second / all - mean * mean)) : NaN };
}
