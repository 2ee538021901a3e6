/** One chart: lines over steps, marks, zoom, and the values under the cursor. It draws with uPlot. */

import uPlot from 'uplot';

import { element } from './element';
import { distinct, precise, thousands } from './numbers';
import { chartFigure } from './chart-figure';
import { colour, dashes, ITheme, onThemeChange, readTheme } from './palette';
import { Cell, ISaved, saveMenu } from './saving';
import { smooth } from './smoothing';
import { swatch } from './swatch';

/** A line of a chart. */
export interface ILine {
  /** What it is called; shown as text. */
  label: string;
  /** Where its points are, rising. */
  x: ArrayLike<number>;
  /** Its values; what is not finite is a gap. */
  y: ArrayLike<number>;
  /** Mean and number of the points that a row of a thinned curve stands for. */
  mean?: ArrayLike<number> | null;
  count?: ArrayLike<number> | null;
  /** Which colour of the palette, and which dashes; the same number where none is given. */
  hue: number;
  dash?: number;
  /** The run that it is of, and its tag there, for who saves its numbers. */
  run?: string;
  tag?: string;
  /** Thin and behind the others, as a curve of every step is. */
  thin?: boolean;
  /** Smoothed as the reader asks for. */
  smooth?: boolean;
  /** Points are marked, as many as have room. */
  dots?: boolean;
  /** Its value is not written above the plot. */
  quiet?: boolean;
}

/** Something that happened at a place of the x axis. */
export interface IMark {
  x: number;
  words: string;
  /** Drawn in the colour of what is best. */
  isBest?: boolean;
  /** Drawn in this colour of the palette. */
  hue?: number;
}

/** How a chart is looked at. */
export interface ILook {
  /** Weight of the smoothing, from 0 to below 1. */
  smoothing: number;
  /** Values on a logarithmic axis. */
  log: boolean;
  /** The few largest and smallest values are left out of the axis' range. */
  clip: boolean;
  /** Part of the x axis that is shown; all of it where it is null. */
  range: [number, number] | null;
  /** All of the x axis, where that is more than the lines of this chart have. */
  extent?: [number, number] | null;
}

export interface IChartOptions {
  /** Heading; shown as text. */
  title?: string;
  /** Height of the plot in CSS pixels. */
  height?: number;
  /** Charts of the same group share the cursor. */
  group?: string;
  /** Writes a place of the x axis. */
  formatX?: (x: number) => string;
  /** What the x axis counts, for a reader's ears. */
  nameX?: string;
  /** Distances that its ticks may have, rising. */
  ticksX?: number[];
  /** Write the words of marks above the plot. */
  labels?: boolean;
  /** A reader chose a part of the x axis, or all of it. */
  onZoom?: (range: [number, number] | null) => void;
}

const LOOK: ILook = { smoothing: 0, log: false, clip: false, range: null };
const LABEL_ROOM = 15;
/** Steps are whole. */
const WHOLE = Array.from({ length: 16 }, (_, i) => 10 ** i).flatMap(power => [power, 2 * power, 5 * power]);
/** Share of the values that may lie outside of an axis that leaves out what is far off. */
const TAIL = 0.02;

/** Room in CSS pixels between two points that are marked. */
const DOT_SPACE = 22;

export interface IDrawn {
  line: ILine;
  /** What is drawn in full, which is smoothed or as it is. */
  values: ArrayLike<number>;
  /** Whether the line as it is stands faintly behind it. */
  hasShadow: boolean;
}

export class Chart {
  constructor(host: HTMLElement, options: IChartOptions = {}) {
    this._options = options;
    this._root = element('div', 'tb-chart');
    this._root.tabIndex = 0;
    this._root.setAttribute('role', 'group');
    this._root.setAttribute('aria-roledescription', 'chart');
    this._head = element('div', 'tb-chart-head');
    this._title = element('span', 'tb-chart-title');
    this._title.textContent = options.title ?? '';
    this._keys = element('span', 'tb-chart-keys');
    this._place = element('span', 'tb-chart-place');
    this._head.append(this._title, this._keys, this._place, saveMenu(() => this._saved()));
    this._body = element('div', 'tb-chart-body');
    this._spoken = element('div', 'tb-spoken');
    this._spoken.setAttribute('aria-live', 'polite');
    this._root.append(this._head, this._body, this._spoken);
    host.append(this._root);
    this._theme = readTheme(this._root);
    this._forgetTheme = onThemeChange(this._root, () => this._restyle());
    this._sizes = new ResizeObserver(() => this.resize());
    this._sizes.observe(this._body);
    this._root.addEventListener('keydown', event => this._key(event));
  }

  /** The element that holds it. */
  get node(): HTMLElement {
    return this._root;
  }

  /** Replace the lines. */
  setSeries(lines: readonly ILine[]): void {
    this._lines = lines.filter(line => line.x.length > 0);
    this._later();
  }

  /** Replace the marks. */
  setMarks(marks: readonly IMark[]): void {
    this._marks = [...marks].sort((a, b) => a.x - b.x);
    this._plot?.redraw(false);
  }

  /** Change how it is looked at. */
  setLook(look: Partial<ILook>): void {
    this._look = { ...this._look, ...look };
    this._later();
  }

  /** Change what the x axis counts. */
  setX(nameX: string, formatX: (x: number) => string, ticksX?: number[]): void {
    this._options = { ...this._options, nameX, formatX, ticksX };
    this._later();
  }

  /** Fit the width of its host. */
  resize(): void {
    const width = Math.floor(this._body.clientWidth);
    if (width < 40) {
      return;
    }
    if (!this._plot) {
      this._refresh();
    } else if (width !== this._plot.width) {
      this._plot.setSize({ width, height: this._height });
    }
  }

  /** Take it off the page. */
  destroy(): void {
    this._sizes.disconnect();
    this._forgetTheme();
    this._plot?.destroy();
    this._plot = null;
    this._root.remove();
  }

  private get _height(): number {
    return (this._options.height ?? 190) + (this._options.labels ? LABEL_ROOM : 0);
  }

  /** Draw once for all changes that are made together. */
  private _later(): void {
    if (!this._isDue) {
      this._isDue = true;
      queueMicrotask(() => {
        this._isDue = false;
        if (this._root.isConnected) {
          this._refresh();
        }
      });
    }
  }

  private _restyle(): void {
    this._theme = readTheme(this._root);
    this._shape = '';
    this._refresh();
  }

  private _refresh(): void {
    const width = Math.floor(this._body.clientWidth);
    if (width < 40) {
      return;
    }
    const smoothing = this._look.smoothing;
    this._drawn = this._lines.map(line => {
      const smoothed = !!line.smooth && smoothing > 0 && line.x.length > 2;
      return {
        line,
        values: smoothed ? smooth(line.y, smoothing, line.mean, line.count) : line.y,
        hasShadow: smoothed
      };
    });
    const data = this._table();
    // Whatever uPlot fixes when it is made; anything else changes without a new one.
    const shape = JSON.stringify([
      this._look.log,
      this._drawn.map(d => [d.line.hue, d.line.dash, d.line.thin, d.line.dots, d.hasShadow])
    ]);
    if (!this._plot || shape !== this._shape) {
      this._plot?.destroy();
      this._plot = new uPlot(this._settings(width), data, this._body);
      this._shape = shape;
    } else {
      this._plot.setData(data);
    }
    this._keyRow();
    this._describe();
  }

  /** Bring the lines onto one x axis: undefined where a line has no point, null where it has a gap. */
  private _table(): uPlot.AlignedData {
    const log = this._look.log;
    const columns: ArrayLike<number>[] = [];
    const tables: uPlot.AlignedData[] = [];
    for (const { line, values, hasShadow } of this._drawn) {
      const x = Array.from(line.x);
      const shown = hasShadow ? [line.y, values] : [values];
      columns.push(...shown);
      tables.push([x, ...shown.map(column => plottable(column, log))] as uPlot.AlignedData);
    }
    if (!tables.length) {
      return [[]];
    }
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  }

  private _settings(width: number): uPlot.Options {
    const theme = this._theme;
    const font = `11px ${theme.font}`;
    const series: uPlot.Series[] = [{}];
    for (const { line, hasShadow } of this._drawn) {
      const stroke = colour(line.hue, theme);
      const dash = dashes(line.dash ?? line.hue);
      const dots = { show: true, size: 5, width: 1.2, fill: theme.surface, filter: spaced };
      if (hasShadow) {
        series.push({ stroke, width: 1, alpha: 0.28, points: { show: false }, dash });
      }
      series.push({
        stroke,
        width: line.thin && !hasShadow ? 1 : line.thin ? 1.3 : 2,
        alpha: line.thin && !hasShadow ? 0.75 : 1,
        dash,
        points: line.dots ? dots : { show: false }
      });
    }
    const axis = { stroke: theme.faint, font, ticks: { show: false }, gap: 4 };
    const format = (x: number): string => (this._options.formatX ?? thousands)(x);
    return {
      width,
      height: this._height,
      padding: [this._options.labels ? LABEL_ROOM : 6, 18, 0, 0],
      legend: { show: false },
      series,
      scales: {
        x: { time: false, range: (_, low, high) => this._rangeX(low, high) },
        y: { distr: this._look.log ? 3 : 1, range: (plot, low, high) => this._rangeY(plot, low, high) }
      },
      axes: [
        {
          ...axis,
          size: 22,
          space: 70,
          incrs: () => this._options.ticksX ?? WHOLE,
          grid: { show: false },
          values: (_, splits) => splits.map(x => (x === null ? '' : format(x)))
        },
        {
          ...axis,
          size: (_, values) => Math.max(34, 8 + 6.2 * Math.max(0, ...(values ?? []).map(v => String(v ?? '').length))),
          space: 32,
          grid: { stroke: theme.grid, width: 1 },
          ...(this._look.log ? { splits: (_, __, low, high) => logSplits(low, high) } : {}),
          values: (_, splits) => distinct(splits)
        }
      ],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        ...(this._options.group ? { sync: { key: this._options.group, scales: ['x', null] } } : {}),
        bind: {
          dblclick: () => () => {
            this._options.onZoom?.(null);
            return null;
          }
        }
      },
      hooks: {
        draw: [plot => this._drawMarks(plot)],
        setCursor: [plot => this._follow(plot)],
        setSelect: [plot => this._select(plot)]
      }
    };
  }

  private _rangeX(low: number | null, high: number | null): [number, number] {
    if (this._look.range) {
      return this._look.range;
    }
    // uPlot passes the ends of the data; a single point gets some room.
    const [from, to] = this._look.extent ?? [low ?? 0, high ?? 1];
    return from === to ? [from - 0.5, to + 0.5] : [from, to];
  }

  private _rangeY(plot: uPlot, low: number | null, high: number | null): [number, number] {
    let [from, to] = [low ?? 0, high ?? 1];
    if (this._look.clip) {
      [from, to] = this._middle(plot, from, to);
    }
    if (this._look.log) {
      if (!(from > 0)) {
        [from, to] = [0.1, 1];
      }
      const room = Math.max(Math.log(to / from) * 0.05, 0.02);
      return [from * Math.exp(-room), to * Math.exp(room)];
    }
    const span = to - from || Math.abs(to) * 0.1 || 1;
    const room = 0.06 * span;
    // Losses and scores are never below 0, and an axis that says otherwise misleads.
    return [from >= 0 && from - room < 0 ? Math.min(0, from) : from - room, to + room];
  }

  /** Return the range of the values in sight without the few that are far from the others. */
  private _middle(plot: uPlot, low: number, high: number): [number, number] {
    const { min, max } = plot.scales.x;
    let [from, to] = [Infinity, -Infinity];
    for (const { line, values, hasShadow } of this._drawn) {
      const seen: number[] = [];
      for (let i = 0; i < line.x.length; i++) {
        if (Number.isFinite(values[i]) && line.x[i] >= (min ?? -Infinity) && line.x[i] <= (max ?? Infinity)) {
          seen.push(values[i]);
        }
      }
      if (!seen.length) {
        continue;
      }
      seen.sort((a, b) => a - b);
      const tail = line.thin && !hasShadow ? Math.floor(seen.length * TAIL) : 0;
      from = Math.min(from, seen[tail]);
      to = Math.max(to, seen[seen.length - 1 - tail]);
    }
    return from <= to ? [from, to] : [low, high];
  }

  private _drawMarks(plot: uPlot): void {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.font = `${11 * ratio}px ${this._theme.font}`;
    ctx.textBaseline = 'bottom';
    ctx.textAlign = 'left';
    ctx.lineWidth = ratio;
    let free = left;
    this._marks.forEach((mark, index) => {
      const x = plot.valToPos(mark.x, 'x', true);
      if (!(x >= left && x <= left + width)) {
        return;
      }
      const own = mark.hue === undefined ? null : colour(mark.hue, this._theme);
      ctx.strokeStyle = own ?? (mark.isBest ? this._theme.best : this._theme.faint);
      ctx.globalAlpha = mark.isBest ? 0.9 : 0.7;
      ctx.setLineDash(mark.isBest ? [] : [3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(Math.round(x) + 0.5, top);
      ctx.lineTo(Math.round(x) + 0.5, top + height);
      ctx.stroke();
      if (!this._options.labels || x < free) {
        return;
      }
      const next = this._marks.slice(index + 1).find(other => other.x > mark.x);
      const end = next ? plot.valToPos(next.x, 'x', true) : Infinity;
      const room = Math.min(end, left + width) - x - 4 * ratio;
      let text = fitted(ctx, mark.words, room, own !== null);
      let place = x + 2 * ratio;
      if (text.length < Math.min(mark.words.length, 4) && end > left + width) {
        // At the right edge there is more room before the line than after it.
        text = fitted(ctx, mark.words, x - free - 6 * ratio, own !== null);
        place = x - 2 * ratio - ctx.measureText(text).width;
      }
      ctx.globalAlpha = 1;
      ctx.fillStyle = own ?? (mark.isBest ? this._theme.best : this._theme.faint);
      ctx.fillText(text, place, top - 2 * ratio);
      free = place + ctx.measureText(text).width + 6 * ratio;
    });
    ctx.restore();
  }

  private _select(plot: uPlot): void {
    if (plot.select.width < 6) {
      return;
    }
    const from = plot.posToVal(plot.select.left, 'x');
    const to = plot.posToVal(plot.select.left + plot.select.width, 'x');
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to > from) {
      this._options.onZoom?.([from, to]);
    }
  }

  // What stands above the plot: a key for each line, and its value under the cursor.

  private _keyRow(): void {
    const names = this._keyLines.map(d => d.line);
    const same = this._values.length === names.length && names.every((l, i) => this._keyed[i] === keyOf(l, this._theme));
    if (!same) {
      this._keyed = names.map(line => keyOf(line, this._theme));
      this._values = [];
      this._keys.replaceChildren();
      for (const line of names) {
        const key = element('span', 'tb-key');
        const stroke = swatch(
          colour(line.hue, this._theme),
          dashes(line.dash ?? line.hue),
          line.thin ? 1 : 2,
          !!line.dots
        );
        const label = element('span', 'tb-key-label');
        label.textContent = line.label;
        // The colour of a line alone is too faint for text.
        label.style.color = `color-mix(in srgb, ${colour(line.hue, this._theme)} 75%, ${this._theme.ink})`;
        const value = element('span', 'tb-key-value');
        key.title = line.run ?? line.label;
        // A chart of one thing has its name in the heading.
        key.append(...(line.label ? [stroke, label] : []), value);
        this._keys.append(key);
        this._values.push(value);
      }
    }
    this._showValues(this._at);
  }

  private get _keyLines(): IDrawn[] {
    return this._drawn.filter(drawn => !drawn.line.quiet);
  }

  private _follow(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    this._showValues(left < 0 ? null : plot.posToVal(left, 'x'));
  }

  /** Write the values at a place, or the last ones. */
  private _showValues(x: number | null): void {
    this._at = x;
    this._keyLines.forEach((drawn, index) => {
      const row = x === null ? lastKnown(drawn.values) : nearest(drawn.line.x, drawn.values, x);
      const text = row === null ? '–' : precise(drawn.values[row]);
      const raw = row !== null && drawn.hasShadow && x !== null ? ` (${precise(drawn.line.y[row])})` : '';
      this._values[index].textContent = text + raw;
    });
    // Charts that share the cursor do not all repeat where it is.
    if (x === null || !this._root.matches(':hover, :focus-within')) {
      this._place.textContent = '';
      return;
    }
    const span = this._plot ? (this._plot.scales.x.max ?? 1) - (this._plot.scales.x.min ?? 0) : 1;
    const close = this._marks.filter(mark => Math.abs(mark.x - x) < span * 0.012);
    const words = close.map(mark => mark.words).join('; ');
    const format = this._options.formatX ?? thousands;
    this._place.textContent = `${this._options.nameX ?? 'step'} ${format(x)}${words ? `: ${words}` : ''}`;
  }

  /** What is saved: the lines as they are looked at, and all of their points. */
  private _saved(): ISaved {
    const title = this._options.title ?? 'curves';
    const nameX = this._options.nameX ?? 'step';
    const plot = this._plot;
    const { min, max } = plot?.scales.x ?? {};
    const [low, high] = [plot?.scales.y.min, plot?.scales.y.max];
    return {
      name: title,
      figure: () =>
        min == null || max == null || low == null || high == null
          ? undefined
          : chartFigure({
              title,
              nameX,
              formatX: this._options.formatX ?? thousands,
              ticksX: this._options.ticksX ?? WHOLE,
              x: [min, max],
              y: [low, high],
              splitsY: this._look.log ? logSplits(low, high) : null,
              drawn: this._drawn,
              marks: this._marks
            }),
      rows: () => {
        const heads: Cell[] = ['run', 'curve', nameX, 'value', 'mean', 'points', 'smoothed'];
        const rows = this._drawn.flatMap(({ line, values, hasShadow }) =>
          Array.from({ length: line.x.length }, (_, k): Cell[] => [
            line.run ?? '',
            line.tag ?? line.label,
            line.x[k],
            line.y[k],
            line.mean?.[k],
            line.count?.[k],
            hasShadow ? values[k] : null
          ])
        );
        return [heads, ...rows];
      }
    };
  }

  private _describe(): void {
    const parts = this._keyLines.map((drawn, index) => `${drawn.line.label} ${this._values[index].textContent ?? ''}`);
    const name = this._options.title ?? 'curves';
    this._root.setAttribute(
      'aria-label',
      `${name}: last values: ${parts.join(', ') || 'none yet'}. Arrow keys read values, plus and minus zoom, Escape shows all.`
    );
  }

  private _key(event: KeyboardEvent): void {
    const plot = this._plot;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const { min, max } = plot.scales.x;
    if (min === null || max === null || min === undefined || max === undefined) {
      return;
    }
    const at = this._at ?? max;
    const stride = (max - min) / (event.shiftKey ? 10 : 50);
    const zoomed = (factor: number): void => {
      const half = ((max - min) * factor) / 2;
      this._options.onZoom?.([at - half, at + half]);
    };
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      const to = Math.min(max, Math.max(min, at + (event.key === 'ArrowLeft' ? -stride : stride)));
      plot.setCursor({ left: plot.valToPos(to, 'x'), top: plot.bbox.height / 2 / (devicePixelRatio || 1) });
      this._speak();
    } else if (event.key === '+' || event.key === '=') {
      zoomed(0.5);
    } else if (event.key === '-') {
      zoomed(2);
    } else if (event.key === 'Escape' || event.key === 'Home') {
      this._options.onZoom?.(null);
      plot.setCursor({ left: -10, top: -10 });
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private _speak(): void {
    const parts = this._keyLines.map((d, i) => `${d.line.label} ${this._values[i].textContent ?? ''}`);
    this._spoken.textContent = `${this._place.textContent ?? ''}: ${parts.join(', ')}`;
  }

  private _options: IChartOptions;
  private _look: ILook = LOOK;
  private _lines: ILine[] = [];
  private _marks: IMark[] = [];
  private _drawn: IDrawn[] = [];
  private _plot: uPlot | null = null;
  private _shape = '';
  private _isDue = false;
  private _theme: ITheme;
  private _at: number | null = null;
  private _keyed: string[] = [];
  private _values: HTMLElement[] = [];
  private readonly _root: HTMLElement;
  private readonly _head: HTMLElement;
  private readonly _title: HTMLElement;
  private readonly _keys: HTMLElement;
  private readonly _place: HTMLElement;
  private readonly _body: HTMLElement;
  private readonly _spoken: HTMLElement;
  private readonly _sizes: ResizeObserver;
  private readonly _forgetTheme: () => void;
}

function keyOf(line: ILine, theme: ITheme): string {
  return JSON.stringify([line.label, line.hue, line.dash, line.thin, line.dots, theme.isDark]);
}

/** Choose the points that are marked: the first, the last, and those between that have room. */
function spaced(plot: uPlot, series: number, isShown: boolean): number[] {
  const [x, y] = [plot.data[0], plot.data[series]];
  const found: number[] = [];
  if (!isShown) {
    return found;
  }
  let free = -Infinity;
  let last = -1;
  for (let k = 0; k < x.length; k++) {
    if (typeof y[k] !== 'number') {
      continue;
    }
    last = k;
    const place = plot.valToPos(x[k], 'x');
    if (place >= free) {
      found.push(k);
      free = place + DOT_SPACE;
    }
  }
  if (last >= 0 && found[found.length - 1] !== last) {
    found.push(last);
  }
  return found;
}

function plottable(values: ArrayLike<number>, log: boolean): (number | null)[] {
  const out: (number | null)[] = new Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    out[i] = Number.isFinite(value) && (!log || value > 0) ? value : null;
  }
  return out;
}

/** Return the row nearest to a place that has a value. */
function nearest(x: ArrayLike<number>, y: ArrayLike<number>, at: number): number | null {
  let [low, high] = [0, x.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const row = low > 0 && at - x[low - 1] <= x[low] - at ? low - 1 : low;
  return Number.isFinite(y[row]) ? row : null;
}

function lastKnown(y: ArrayLike<number>): number | null {
  for (let row = y.length - 1; row >= 0; row--) {
    if (Number.isFinite(y[row])) {
      return row;
    }
  }
  return null;
}

function logSplits(low: number, high: number): number[] {
  const splits: number[] = [];
  const decades = Math.log10(high / low);
  const steps = decades > 4 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const value = Number((step * 10 ** power).toPrecision(3));
      if (value >= low && value <= high) {
        splits.push(value);
      }
    }
  }
  return splits;
}

/** Shorten words to a width: at their end, or in the middle where names begin alike and differ at theirs. */
function fitted(ctx: CanvasRenderingContext2D, words: string, room: number, isName: boolean): string {
  const fits = (text: string) => ctx.measureText(text).width <= room;
  if (fits(words)) {
    return words;
  }
  // What a name stands for gives way before the name does.
  const signs = [...(isName ? words.replace(/: [^:]*$/, '') : words)];
  for (let kept = signs.length - (isName && fits(signs.join('')) ? 0 : 1); kept > 0; kept -= 1) {
    const head = isName ? Math.floor(kept * 0.3) : kept;
    const tail = signs.slice(signs.length - (kept - head));
    const text = kept === signs.length ? signs.join('') : `${signs.slice(0, head).join('').trimEnd()}…${tail.join('')}`;
    if (fits(text)) {
      return text;
    }
  }
  return '';
}
