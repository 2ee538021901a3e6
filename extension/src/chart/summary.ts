/** A table of what was reached: by stage of one run, or of several runs side by side. */

import { element } from './element';
import { precise, thousands } from './numbers';
import { colour, dashes, readTheme } from './palette';
import { saveMenu } from './saving';
import type { Curve, RunCurves } from './store';
import { swatch } from './swatch';

/** Marks that say what trains from there on. */
const STAGE = /^(?:stage|next stage|freeze [^:]*): (.*)$/;
const SCORES: [tag: string, title: string][] = [
  ['accuracy/validation', 'accuracy'],
  ['macro_f1/validation', 'macro-F1'],
  ['roc_auc/validation', 'ROC AUC'],
  ['average_precision/validation', 'average precision'],
  ['specificity/validation', 'specificity'],
  ['loss/validation', 'loss']
];
/** Of these curves less is better. */
const LESS = /^(loss|gap|largest_gap|calibration_error)\//;

interface IRow {
  name: string;
  hue: number | null;
  epochs: number;
  scores: number[];
}

export class Summary {
  constructor(host: HTMLElement) {
    this.node = element('div', 'tb-summary');
    host.append(this.node);
  }

  readonly node: HTMLElement;

  update(runs: readonly RunCurves[], hues: readonly number[]): void {
    const gaps = [...new Set(runs.flatMap(run => [...run.curves.keys()].filter(tag => tag.startsWith('gap/'))))];
    const scores = [...SCORES, ...gaps.map((tag): [string, string] => [tag, `gap, ${tag.slice(4)}`])];
    const known = scores.filter(([tag]) => runs.some(run => run.curves.get(tag)?.length));
    const rows =
      runs.length === 1
        ? stages(runs[0], known)
        : runs.map((run, i) => row(run.name, hues[i], run, known, -Infinity, Infinity));
    const shape = JSON.stringify([known, rows]);
    if (shape === this._shape) {
      return;
    }
    this._shape = shape;
    this.node.replaceChildren();
    if (!known.length || !rows.length) {
      return;
    }
    const first = runs.length === 1 ? 'stage' : 'run';
    const heads = [first, 'epochs', ...known.map(([, name]) => name)];
    const menu = saveMenu(() => ({
      name: `results by ${first}`,
      rows: () => [heads, ...rows.map(entry => [entry.name, entry.epochs, ...entry.scores])]
    }));
    this.node.append(menu, this._table(first, known, rows));
  }

  /** Draw it again in other colours. */
  restyle(): void {
    this._shape = '';
  }

  private _table(first: string, known: [string, string][], rows: IRow[]): HTMLElement {
    const theme = readTheme(this.node);
    const table = element('table', 'tb-table');
    const head = table.createTHead().insertRow();
    for (const title of [first, 'epochs', ...known.map(([, name]) => name)]) {
      const cell = element('th');
      cell.scope = 'col';
      cell.textContent = title;
      head.append(cell);
    }
    const best = known.map(([tag], column) => {
      const values = rows.map(r => r.scores[column]).filter(Number.isFinite);
      return LESS.test(tag) ? Math.min(...values) : Math.max(...values);
    });
    const body = table.createTBody();
    for (const entry of rows) {
      const line = body.insertRow();
      const name = element('th');
      name.scope = 'row';
      if (entry.hue !== null) {
        name.append(swatch(colour(entry.hue, theme), dashes(entry.hue)));
      }
      name.append(entry.name);
      line.append(name);
      line.insertCell().textContent = thousands(entry.epochs);
      entry.scores.forEach((value, column) => {
        const cell = line.insertCell();
        cell.textContent = precise(value);
        if (rows.length > 1 && value === best[column]) {
          cell.className = 'tb-best';
          cell.setAttribute('aria-label', `${precise(value)}, the best`);
        }
      });
    }
    return table;
  }

  private _shape = '';
}

function stages(run: RunCurves, known: [string, string][]): IRow[] {
  const marks = run.marks.filter(([, words]) => STAGE.test(words));
  if (!marks.length) {
    return [row('training', null, run, known, -Infinity, Infinity)];
  }
  // A stage may be entered twice at one step, by the plan and by hand: the later one holds.
  const kept = marks.filter(([step], index) => marks[index + 1]?.[0] !== step);
  return kept
    .map(([step, words], index) =>
      row(words.replace(STAGE, '$1'), null, run, known, index ? step : -Infinity, kept[index + 1]?.[0] ?? Infinity)
    )
    .filter(entry => entry.epochs > 0);
}

/** Return what was reached at the best epoch between two steps. */
function row(
  name: string,
  hue: number | null,
  run: RunCurves,
  known: [string, string][],
  from: number,
  to: number
): IRow {
  const tags = [run.monitor?.[0] ?? '', 'macro_f1/validation', 'accuracy/validation', 'loss/validation'];
  const tag = tags.find(name => run.curves.get(name)?.length) ?? '';
  const chooser = run.curves.get(tag);
  const sign = (tag === run.monitor?.[0] ? run.monitor[1] : !LESS.test(tag)) ? 1 : -1;
  let [step, score, epochs] = [NaN, -Infinity, 0];
  for (let i = 0; chooser && i < chooser.length; i++) {
    if (chooser.x[i] > from && chooser.x[i] <= to) {
      epochs += 1;
      // Training has chosen already; a stage without its best epoch has one of its own.
      const value = chooser.x[i] === run.best ? Infinity : sign * chooser.y[i];
      if (value > score) {
        [step, score] = [chooser.x[i], value];
      }
    }
  }
  return { name, hue, epochs, scores: known.map(([tag]) => at(run.curves.get(tag), step)) };
}

function at(curve: Curve | undefined, step: number): number {
  const index = curve ? curve.steps.indexOf(step) : -1;
  return curve && index >= 0 ? curve.y[index] : NaN;
}
