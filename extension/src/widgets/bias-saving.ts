/** What of a bias report is saved: the groups of the metric that is shown, as a drawing and as numbers. */

import { cutTo, Figure, ticksBetween } from '../chart/figure';
import { PAPER } from '../chart/palette';
import { Cell, ISaved } from '../chart/saving';
import { everyOf, IBiasDocument, IChoice, IRow, metricWords, rowsOf, sorted, written } from './bias-model';

const [LEFT, WIDTH, ROW, TOP] = [200, 420, 24, 74];
const [TUNED, BASE] = ['#0072b2', '#707882'];

/** Name the attribute and the metric that are shown. */
function titleOf(report: IBiasDocument, choice: IChoice): string {
  const metric = metricWords(report.metrics[choice.metric]);
  return `${metric} by ${report.attributes[choice.attribute].name}, ${report.splits[choice.split]} set`;
}

export function biasSaved(report: IBiasDocument, choice: IChoice): ISaved {
  const rows = sorted(rowsOf(report, choice), choice.sort, choice.falling);
  return {
    name: `bias ${titleOf(report, choice)}`,
    figure: () => dotsFigure(report, choice, rows),
    rows: () => [
      ['group', 'model', 'value', 'interval from', 'interval to', 'examples', 'counted'],
      ...rows.flatMap(row =>
        row.figures.map((figure, k): Cell[] => [
          row.name,
          report.models[k],
          figure.value,
          figure.low,
          figure.high,
          row.n,
          row.isCounted ? 'yes' : 'too few'
        ])
      )
    ]
  };
}

/** Draw a row a group: the last model filled, those before it hollow, with their intervals. */
function dotsFigure(report: IBiasDocument, choice: IChoice, rows: readonly IRow[]): Figure {
  const last = report.models.length - 1;
  const every = everyOf(report, choice)[last];
  const known = rows.flatMap(row => row.figures.flatMap(one => [one.value, one.low, one.high])).filter(value => value !== null);
  const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  const ticks = ticksBetween(low, high > low ? high : low + 1, 5);
  const [from, to] = [Math.min(low, ticks[0]), Math.max(high, ticks[ticks.length - 1], low + 1e-9)];
  const x = (value: number): number => LEFT + ((value - from) / (to - from)) * WIDTH;
  const bottom = TOP + ROW * rows.length;
  const figure = new Figure(LEFT + WIDTH + 150, bottom + 30);
  figure.text(12, 22, cutTo(titleOf(report, choice), LEFT + WIDTH + 120, 15), { 'font-size': 15, 'font-weight': 600 });
  const models = report.models.map((name, k) => `${k === last ? '●' : '○'} ${name}`).reverse();
  const all = every === null ? '' : '   ┊ all groups';
  figure.text(12, 44, cutTo(`95 % interval   ${models.join('   ')}${all}`, LEFT + WIDTH + 120), { fill: PAPER.faint });
  for (const tick of ticks) {
    figure.line(x(tick), TOP - 6, x(tick), bottom);
    figure.text(x(tick), bottom + 16, String(tick), { 'text-anchor': 'middle', 'font-size': 11, fill: PAPER.faint });
  }
  if (every !== null) {
    figure.line(x(every), TOP - 6, x(every), bottom, { stroke: PAPER.faint, 'stroke-dasharray': '2 3' });
  }
  rows.forEach((row, place) => {
    const y = TOP + ROW * (place + 0.5);
    figure.text(LEFT - 10, y + 4, cutTo(row.name, LEFT - 24), { 'text-anchor': 'end' });
    row.figures.forEach((one, k) => {
      const stroke = k === last ? TUNED : BASE;
      if (one.low !== null && one.high !== null) {
        const dashes = k === last ? undefined : '3 3';
        figure.line(x(one.low), y, x(one.high), y, { stroke, 'stroke-width': k === last ? 2 : 1, 'stroke-dasharray': dashes });
      }
      if (one.value !== null) {
        const fill = k === last ? stroke : PAPER.surface;
        figure.add('circle', { cx: x(one.value), cy: y, r: k === last ? 5 : 5.5, fill, stroke, 'stroke-width': 1.5 });
      }
    });
    figure.text(LEFT + WIDTH + 20, y + 4, `${written(row.figures[last].value)}   n ${row.n}${row.isCounted ? '' : ' (few)'}`);
  });
  return figure;
}
