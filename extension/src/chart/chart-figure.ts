/** A chart of lines as a figure on paper. */

import type { IDrawn, IMark } from './chart';
import { cutTo, Figure, ticksBetween, widthOf } from './figure';
import { distinct } from './numbers';
import { colour, dashes, PAPER } from './palette';

export interface IChartFigure {
  title: string;
  nameX: string;
  formatX: (x: number) => string;
  /** Distances that ticks of the x axis may have, rising. */
  ticksX: number[];
  x: [number, number];
  y: [number, number];
  /** Ticks of a logarithmic axis of values; null where it is linear. */
  splitsY: number[] | null;
  drawn: readonly IDrawn[];
  marks: readonly IMark[];
}

const WIDTH = 760;
const PLOT = 340;
const [LEFT, RIGHT, BOTTOM] = [64, 20, 44];
const ROW = 18;

/** Draw a chart with its title, axes, and a key for every line that has one. */
export function chartFigure(chart: IChartFigure): Figure {
  const keys = legend(chart.drawn);
  const top = 34 + ROW * (keys.length ? keys[keys.length - 1].row + 1 : 0) + 14;
  const figure = new Figure(WIDTH, top + PLOT + BOTTOM);
  const width = WIDTH - LEFT - RIGHT;
  const x = (value: number): number => LEFT + ((value - chart.x[0]) / (chart.x[1] - chart.x[0])) * width;
  const scaled = (value: number): number => (chart.splitsY ? Math.log(value) : value);
  const [low, high] = chart.y.map(scaled);
  const y = (value: number): number => top + PLOT - ((scaled(value) - low) / (high - low)) * PLOT;
  figure.text(LEFT, 22, cutTo(chart.title, width, 15), { 'font-size': 15, 'font-weight': 600 });
  keys.forEach(key => {
    const line = key.drawn.line;
    const at = 34 + ROW * key.row + 8;
    const stroke = colour(line.hue, PAPER);
    figure.line(key.x, at, key.x + 24, at, {
      stroke,
      'stroke-width': line.thin ? 1.2 : 2,
      'stroke-dasharray': dashes(line.dash ?? line.hue).join(' ')
    });
    if (line.dots) {
      figure.add('circle', { cx: key.x + 12, cy: at, r: 3, fill: stroke });
    }
    figure.text(key.x + 30, at + 4, key.text);
  });
  const ticks = chart.splitsY ?? ticksBetween(chart.y[0], chart.y[1], 6);
  const words = distinct(ticks);
  ticks.forEach((tick, place) => {
    figure.line(LEFT, y(tick), LEFT + width, y(tick));
    figure.text(LEFT - 6, y(tick) + 4, words[place], { 'text-anchor': 'end', 'font-size': 11, fill: PAPER.faint });
  });
  const step = chart.ticksX.find(one => (chart.x[1] - chart.x[0]) / one <= 8) ?? chart.ticksX[chart.ticksX.length - 1];
  for (let tick = Math.ceil(chart.x[0] / step) * step; tick <= chart.x[1] + 1e-9; tick += step) {
    figure.line(x(tick), top + PLOT, x(tick), top + PLOT + 4, { stroke: PAPER.faint });
    figure.text(x(tick), top + PLOT + 17, chart.formatX(tick), { 'text-anchor': 'middle', 'font-size': 11, fill: PAPER.faint });
  }
  figure.text(LEFT + width / 2, top + PLOT + 36, chart.nameX, { 'text-anchor': 'middle', fill: PAPER.faint });
  drawMarks(figure, chart, x, top);
  figure.clipped(LEFT, top - 4, width + 4, PLOT + 8, () => {
    chart.drawn.forEach(drawn => drawLine(figure, drawn, x, y));
  });
  return figure;
}

function drawMarks(figure: Figure, chart: IChartFigure, x: (value: number) => number, top: number): void {
  const seen = chart.marks.filter(mark => x(mark.x) >= LEFT - 1 && x(mark.x) <= WIDTH - RIGHT + 1);
  let free = -Infinity;
  seen.forEach((mark, index) => {
    const place = x(mark.x);
    const stroke = mark.hue !== undefined ? colour(mark.hue, PAPER) : mark.isBest ? PAPER.best : PAPER.faint;
    figure.line(place, top, place, top + PLOT, { stroke, 'stroke-dasharray': mark.isBest ? undefined : '3 3' });
    const end = index + 1 < seen.length ? x(seen[index + 1].x) : WIDTH - 4;
    const text = cutTo(mark.words, end - place - 6, 10);
    // Words that would stand on others are left out; the line tells the place.
    if (place >= free && text.length > 3) {
      figure.text(place + 2, top - 4, text, { 'font-size': 10, fill: stroke });
      free = place + widthOf(text, 10) + 6;
    }
  });
}

function drawLine(figure: Figure, drawn: IDrawn, x: (value: number) => number, y: (value: number) => number): void {
  const { line, values, hasShadow } = drawn;
  const stroke = colour(line.hue, PAPER);
  const points = (of: ArrayLike<number>): [number, number][] =>
    Array.from({ length: line.x.length }, (_, k) => [x(line.x[k]), y(of[k])]);
  if (hasShadow) {
    figure.path(points(line.y), { stroke, 'stroke-width': 1, 'stroke-opacity': 0.28 });
  }
  figure.path(points(values), {
    stroke,
    'stroke-width': line.thin ? 1.2 : 2,
    'stroke-dasharray': dashes(line.dash ?? line.hue).join(' ')
  });
  let free = -Infinity;
  for (const [left, height] of line.dots ? points(values) : []) {
    if (left >= free && Number.isFinite(height)) {
      figure.add('circle', { cx: left, cy: height, r: 3, fill: PAPER.surface, stroke, 'stroke-width': 1.3 });
      free = left + 14;
    }
  }
}

interface IKey {
  drawn: IDrawn;
  text: string;
  x: number;
  row: number;
}

/** Place the keys in rows, each as wide as its text. */
function legend(drawn: readonly IDrawn[]): IKey[] {
  let [x, row] = [LEFT, 0];
  const found: IKey[] = [];
  for (const one of drawn) {
    const { run, tag, label } = one.line;
    const words = run ? `${run} · ${tag}` : label;
    if (!words) {
      continue;
    }
    const text = cutTo(words, WIDTH - LEFT - RIGHT - 40);
    const width = widthOf(text) + 50;
    if (x > LEFT && x + width > WIDTH - RIGHT) {
      [x, row] = [LEFT, row + 1];
    }
    found.push({ drawn: one, text, x, row });
    x += width;
  }
  return found;
}
