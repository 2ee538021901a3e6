/** Recall by class over the epochs: one row a class, the worst first; a thousand classes are as quick as ten. */

import { element } from './element';
import { cutTo, Figure } from './figure';
import { precise } from './numbers';
import { colour, onThemeChange, PAPER, readTheme } from './palette';
import { ISaved, saveMenu } from './saving';
import type { RunCurves } from './store';

const TAG = 'recall/';
const ROW = 26;
const HEIGHT = 260;
const WIDTH = 180;

interface IClass {
  name: string;
  values: Float32Array;
  steps: Float64Array;
  last: number;
  change: number;
}

/** Whether a run tells recall by class. */
export function hasRecall(run: RunCurves): boolean {
  return [...run.curves.keys()].some(tag => tag.startsWith(TAG));
}

export class RecallPage {
  constructor(host: HTMLElement) {
    this.node = element('div', 'tb-recall');
    this._words = element('p', 'tb-words');
    const tools = element('div', 'tb-tools');
    this._search = element('input', 'tb-input');
    this._search.type = 'search';
    this._search.placeholder = 'Search classes';
    this._search.setAttribute('aria-label', 'Search classes');
    this._order = element('select', 'tb-input');
    this._order.setAttribute('aria-label', 'Order of the classes');
    for (const [value, text] of [
      ['worst', 'lowest recall first'],
      ['fell', 'fell most since the first epoch'],
      ['name', 'by name']
    ]) {
      const option = element('option');
      option.value = value;
      option.textContent = text;
      this._order.append(option);
    }
    tools.append(this._search, this._order, saveMenu(() => this._saved()));
    this._list = element('div', 'tb-list');
    this._list.tabIndex = 0;
    this._list.setAttribute('role', 'table');
    this._list.setAttribute('aria-label', 'Recall by class');
    this._rows = element('div', 'tb-rows');
    this._list.append(this._rows);
    this.node.append(this._words, tools, this._list);
    host.append(this.node);
    this._search.addEventListener('input', () => this._arrange());
    this._order.addEventListener('change', () => this._arrange());
    this._list.addEventListener('scroll', () => this._draw());
    this._forgetTheme = onThemeChange(this.node, () => this._draw());
  }

  readonly node: HTMLElement;

  update(shown: readonly RunCurves[]): void {
    const several = shown.filter(hasRecall).length > 1;
    this._classes = shown.flatMap(run =>
      [...run.curves]
        .filter(([tag]) => tag.startsWith(TAG))
        .map(([tag, curve]) => {
          const values = curve.values;
          const first = values.find(Number.isFinite) ?? NaN;
          const name = tag.slice(TAG.length);
          return {
            name: several ? `${run.name} · ${name}` : name,
            values,
            steps: curve.steps,
            last: curve.last,
            change: curve.last - first
          };
        })
    );
    const known = this._classes.filter(c => Number.isFinite(c.last));
    const mean = known.reduce((sum, c) => sum + c.last, 0) / known.length;
    const worst = known.reduce((a, b) => (b.last < a.last ? b : a), known[0]);
    this._words.textContent = worst
      ? `Recall in validation: mean ${precise(mean)}; lowest is ${worst.name} with ${precise(worst.last)}` +
        (known.length < this._classes.length ? `; undefined for ${this._classes.length - known.length}` : '') +
        '.'
      : 'Recall by class comes with the first epoch.';
    this._arrange();
  }

  destroy(): void {
    this._forgetTheme();
    this.node.remove();
  }

  private _saved(): ISaved {
    return {
      name: 'recall by class',
      figure: () => (this._seen.length ? recallFigure(this._seen) : undefined),
      rows: () => [
        ['class', 'step', 'recall'],
        ...this._seen.flatMap(entry => Array.from(entry.values, (value, k) => [entry.name, entry.steps[k], value]))
      ]
    };
  }

  private _arrange(): void {
    const asked = this._search.value.trim().toLowerCase();
    this._seen = this._classes.filter(c => c.name.toLowerCase().includes(asked));
    const order = this._order.value;
    const low = (value: number): number => (Number.isFinite(value) ? value : Infinity);
    if (order === 'worst') {
      this._seen.sort((a, b) => low(a.last) - low(b.last));
    } else if (order === 'fell') {
      this._seen.sort((a, b) => low(a.change) - low(b.change));
    } else {
      this._seen.sort((a, b) => a.name.localeCompare(b.name));
    }
    this._list.style.height = `${Math.min(HEIGHT, Math.max(1, this._seen.length) * ROW)}px`;
    this._rows.style.height = `${this._seen.length * ROW}px`;
    this._list.setAttribute('aria-rowcount', String(this._seen.length));
    this._draw();
  }

  private _draw(): void {
    const first = Math.max(0, Math.floor(this._list.scrollTop / ROW) - 3);
    const last = Math.min(this._seen.length, first + Math.ceil(HEIGHT / ROW) + 7);
    const stroke = colour(1, readTheme(this.node));
    this._rows.replaceChildren();
    for (let index = first; index < last; index++) {
      this._rows.append(this._row(this._seen[index], index, stroke));
    }
  }

  private _row(entry: IClass, index: number, stroke: string): HTMLElement {
    const row = element('div', 'tb-row');
    row.setAttribute('role', 'row');
    row.setAttribute('aria-rowindex', String(index + 1));
    row.style.top = `${index * ROW}px`;
    const cell = (name: string, text: string): HTMLElement => {
      const made = element('span', name);
      made.setAttribute('role', 'cell');
      made.textContent = text;
      row.append(made);
      return made;
    };
    cell('tb-row-name', entry.name).title = entry.name;
    cell('tb-row-line', '').append(spark(entry, stroke));
    cell('tb-row-value', Number.isFinite(entry.last) ? precise(entry.last) : 'undefined');
    const change = entry.values.length > 1 && Number.isFinite(entry.change) ? entry.change : NaN;
    cell('tb-row-change', Number.isFinite(change) ? `${change < 0 ? '−' : '+'}${Math.abs(change).toFixed(2)}` : '');
    return row;
  }

  private _classes: IClass[] = [];
  private _seen: IClass[] = [];
  private readonly _words: HTMLElement;
  private readonly _search: HTMLInputElement;
  private readonly _order: HTMLSelectElement;
  private readonly _list: HTMLElement;
  private readonly _rows: HTMLElement;
  private readonly _forgetTheme: () => void;
}

/** So many classes fit into a figure. */
const MOST_DRAWN = 60;

/** Draw the last recall of classes as bars, in the order of the list, on paper. */
function recallFigure(classes: readonly IClass[]): Figure {
  const shown = classes.slice(0, MOST_DRAWN);
  const [left, width, row, top] = [220, 460, 20, 40];
  const figure = new Figure(left + width + 60, top + row * shown.length + 30);
  figure.text(10, 22, 'Recall by class, validation', { 'font-size': 15, 'font-weight': 600 });
  shown.forEach((entry, place) => {
    const y = top + row * place;
    figure.text(left - 8, y + 13, cutTo(entry.name, left - 20), { 'text-anchor': 'end' });
    if (Number.isFinite(entry.last)) {
      figure.add('rect', { x: left, y: y + 3, width: Math.max(0.5, width * entry.last), height: row - 6, fill: colour(1, PAPER) });
    }
    const words = Number.isFinite(entry.last) ? precise(entry.last) : 'undefined';
    figure.text(left + width * (Number.isFinite(entry.last) ? entry.last : 0) + 6, y + 13, words, { 'font-size': 11 });
  });
  if (classes.length > shown.length) {
    figure.text(10, top + row * shown.length + 18, `The first ${shown.length} of ${classes.length} classes, as the list orders them.`);
  }
  return figure;
}

/** Draw a small line from 0 to 1 over the epochs. */
function spark(entry: IClass, stroke: string): SVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const [from, to] = [entry.steps[0], entry.steps[entry.steps.length - 1]];
  const points: string[] = [];
  entry.values.forEach((value, i) => {
    if (Number.isFinite(value)) {
      const x = to > from ? ((entry.steps[i] - from) / (to - from)) * (WIDTH - 6) + 3 : WIDTH - 3;
      points.push(`${x.toFixed(1)},${(17 - 14 * value).toFixed(1)}`);
    }
  });
  const base = document.createElementNS(space, 'line');
  for (const [name, value] of Object.entries({ x1: 3, x2: WIDTH - 3, y1: 17, y2: 17 })) {
    base.setAttribute(name, String(value));
  }
  base.setAttribute('class', 'tb-spark-base');
  const line = document.createElementNS(space, 'polyline');
  line.setAttribute('points', points.join(' '));
  line.setAttribute('fill', 'none');
  line.setAttribute('stroke', stroke);
  line.setAttribute('stroke-width', '1.5');
  line.setAttribute('vector-effect', 'non-scaling-stroke');
  svg.append(base, line);
  return svg;
}
