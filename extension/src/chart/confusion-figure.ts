/** Confusion as a figure on paper: a matrix, or the most frequent pairs where a matrix cannot be read. */

import { cutTo, Figure, widthOf } from './figure';
import type { IMistake } from './mistakes';
import { thousands } from './numbers';
import { channels, colour, luminance, PAPER } from './palette';

/** What a share of 1 is drawn with. */
export const FULL = [0, 92, 158];
export const FULL_ON_DARK = [86, 180, 233];
const MOST_PAIRS = 40;
const LONGEST = 140;

/** Draw a matrix, rows by truth; classes that have no room for their names are told by their number. */
export function matrixFigure(counts: ArrayLike<number>, classes: readonly string[]): Figure {
  const count = classes.length;
  const cell = Math.max(6, Math.min(36, Math.floor(680 / count)));
  const isNamed = cell >= 12;
  const size = isNamed ? 11 : 9;
  const margin = isNamed ? 16 + Math.max(...classes.map(name => Math.min(LONGEST, widthOf(name, size)))) : 24;
  const [left, top] = [margin + 20, margin + 50];
  const figure = new Figure(left + cell * count + 20, top + cell * count + 20);
  figure.text(12, 22, 'Confusion', { 'font-size': 15, 'font-weight': 600 });
  figure.text(12, 40, 'truth from top to bottom, predicted from left to right; shade: share of the true class', { 'font-size': 10, fill: PAPER.faint });
  const base = channels(PAPER.surface);
  for (let row = 0; row < count; row++) {
    const line = Array.from({ length: count }, (_, column) => counts[row * count + column]);
    const all = line.reduce((sum, value) => sum + value, 0);
    line.forEach((value, column) => {
      if (!value) {
        return;
      }
      const share = Math.sqrt(value / all);
      const fill = `rgb(${base.map((channel, i) => Math.round(channel + (FULL[i] - channel) * share)).join(',')})`;
      const [x, y] = [left + column * cell, top + row * cell];
      figure.add('rect', { x, y, width: cell, height: cell, fill });
      if (cell >= 22) {
        const ink = luminance(fill) > 0.45 ? PAPER.ink : '#ffffff';
        figure.text(x + cell / 2, y + cell / 2 + 4, String(value), { 'text-anchor': 'middle', 'font-size': 10, fill: ink });
      }
    });
  }
  figure.add('rect', { x: left, y: top, width: cell * count, height: cell * count, fill: 'none', stroke: PAPER.faint });
  classes.forEach((name, place) => {
    if (isNamed) {
      const text = cutTo(name, LONGEST, size);
      const middle = (place + 0.5) * cell + 4;
      figure.text(left - 6, top + middle, text, { 'text-anchor': 'end', 'font-size': size });
      const [x, y] = [left + middle, top - 6];
      figure.text(x, y, text, { 'font-size': size, transform: `rotate(-90 ${x} ${y})` });
    }
  });
  return figure;
}

/** Draw the most frequent pairs as bars. */
export function pairsFigure(pairs: readonly IMistake[]): Figure {
  const shown = pairs.slice(0, MOST_PAIRS);
  const [left, width, row, top] = [380, 300, 20, 40];
  const most = Math.max(1, ...shown.map(pair => pair.count));
  const figure = new Figure(left + width + 110, top + row * Math.max(1, shown.length) + 30);
  figure.text(12, 22, 'Most frequent mistakes', { 'font-size': 15, 'font-weight': 600 });
  shown.forEach((pair, place) => {
    const y = top + row * place;
    const words = `${cutTo(pair.truth, 165)} taken for ${cutTo(pair.prediction, 165)}`;
    figure.text(left - 8, y + 13, cutTo(words, left - 20, 11), { 'text-anchor': 'end', 'font-size': 11 });
    const long = (width * pair.count) / most;
    figure.add('rect', { x: left, y: y + 3, width: long, height: row - 6, fill: colour(1, PAPER) });
    figure.text(left + long + 6, y + 13, `${thousands(pair.count)} of ${thousands(pair.of)}`, { 'font-size': 11 });
  });
  const said = pairs.length > shown.length ? `The first ${shown.length} of ${thousands(pairs.length)} pairs.` : '';
  figure.text(12, top + row * shown.length + 18, said || (pairs.length ? '' : 'None.'), { 'font-size': 11, fill: PAPER.faint });
  return figure;
}
