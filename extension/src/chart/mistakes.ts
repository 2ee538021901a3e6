/** What is taken for what, as a list of pairs: it can be read however many classes there are. */

import { element } from './element';
import { thousands } from './numbers';

/** A pair of classes, and how often the first is taken for the second. */
export interface IMistake {
  truth: string;
  prediction: string;
  count: number;
  /** Examples of the true class. */
  of: number;
}

/** So many pairs are shown at once, and so many are looked through without a search. */
const MOST_SHOWN = 100;
const FEW = 8;

/** Return the pairs of a confusion matrix, the most frequent first. */
export function mistakesOf(counts: ArrayLike<number>, classes: readonly string[]): IMistake[] {
  const found: IMistake[] = [];
  classes.forEach((truth, row) => {
    const line = Array.from(classes, (_, column) => counts[row * classes.length + column]);
    const of = line.reduce((sum, count) => sum + count, 0);
    line.forEach((count, column) => {
      if (count && column !== row) {
        found.push({ truth, prediction: classes[column], count, of });
      }
    });
  });
  return found.sort((a, b) => b.count - a.count || b.count / b.of - a.count / a.of);
}

export class MistakeList {
  constructor() {
    this.node = element('div', 'tb-mistakes');
    const heading = element('h4', 'tb-subtitle');
    heading.textContent = 'Most frequent mistakes';
    this._search = element('input', 'tb-input');
    this._search.type = 'search';
    this._search.placeholder = 'Search pairs';
    this._search.setAttribute('aria-label', 'Search pairs of classes');
    this._search.addEventListener('input', () => this._draw());
    this._host = element('div', 'tb-mistakes-host');
    this._host.tabIndex = 0;
    this._host.setAttribute('role', 'region');
    this._host.setAttribute('aria-label', 'Pairs of classes');
    this._words = element('p', 'tb-words');
    this.node.append(heading, this._search, this._host, this._words);
  }

  readonly node: HTMLElement;

  /** @param total - pairs in all, where only the most frequent of them are given */
  update(pairs: readonly IMistake[], total = pairs.length): void {
    this._pairs = pairs;
    this._left = total - pairs.length;
    this._search.hidden = pairs.length <= FEW;
    this._draw();
  }

  private _draw(): void {
    const asked = this._search.hidden ? '' : this._search.value.trim().toLowerCase();
    const seen = this._pairs.filter(pair => `${pair.truth}\n${pair.prediction}`.toLowerCase().includes(asked));
    const table = element('table', 'tb-table');
    const head = table.createTHead().insertRow();
    for (const title of ['class', 'taken for', 'times', 'share']) {
      const cell = element('th');
      cell.scope = 'col';
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const pair of seen.slice(0, MOST_SHOWN)) {
      const line = body.insertRow();
      for (const name of [pair.truth, pair.prediction]) {
        const cell = line.insertCell();
        cell.className = 'tb-name';
        cell.title = name;
        cell.textContent = name;
      }
      line.insertCell().textContent = `${thousands(pair.count)} of ${thousands(pair.of)}`;
      line.insertCell().textContent = `${Math.round((100 * pair.count) / Math.max(1, pair.of))} %`;
    }
    this._host.replaceChildren(table);
    this._host.hidden = seen.length === 0;
    this._words.textContent = this._said(seen.length);
  }

  private _said(seen: number): string {
    if (this._pairs.length === 0) {
      return 'None.';
    }
    const more = Math.max(0, seen - MOST_SHOWN);
    const parts = [
      seen === 0 ? 'No pair has that name.' : '',
      more > 0 ? `${thousands(more)} more pairs are in the CSV.` : '',
      this._left > 0 ? `${thousands(this._left)} rarer pairs are left out.` : ''
    ];
    return parts.filter(Boolean).join(' ');
  }

  private _left = 0;
  private _pairs: readonly IMistake[] = [];
  private readonly _search: HTMLInputElement;
  private readonly _host: HTMLElement;
  private readonly _words: HTMLElement;
}
