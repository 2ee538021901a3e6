/** The figures of a group beside the pointer, or beside the row that has the focus. */

import { IBiasDocument, IRow, signed, written } from './bias-model';
import { make, whole } from './panel-dom';

const GAP = 14;

export class BiasTip {
  readonly element = make('div', 'tbb-tip', { 'aria-hidden': 'true', hidden: true });

  constructor(private readonly root: HTMLElement, private readonly report: IBiasDocument) {
    root.append(this.element);
  }

  /** Shows a row's figures at a place of the window. */
  show(row: IRow, x: number, y: number): void {
    this.element.replaceChildren(...this.lines(row));
    this.element.hidden = false;
    const frame = this.root.getBoundingClientRect();
    const own = this.element.getBoundingClientRect();
    const left = Math.min(x - frame.left + GAP, frame.width - own.width - 6);
    const below = y - frame.top + GAP;
    const top = below + own.height > frame.height - 4 ? y - frame.top - own.height - GAP : below;
    this.element.style.left = `${Math.max(6, left)}px`;
    this.element.style.top = `${Math.max(4, top)}px`;
  }

  hide(): void {
    this.element.hidden = true;
  }

  private lines(row: IRow): HTMLElement[] {
    const { models } = this.report;
    const last = models.length - 1;
    const order = models.map((_, k) => last - k);
    const lines = order.map(k => {
      const figure = row.figures[k];
      const mark = make('i', k === last ? 'tbb-dot' : 'tbb-dot tbb-base');
      const ends = figure.low === null ? '' : `${figure.low.toFixed(3)} to ${figure.high?.toFixed(3)}`;
      return make(
        'tr',
        '',
        {},
        make('th', '', { scope: 'row' }, mark, models[k]),
        make('td', 'tbb-strong', {}, figure.value === null ? 'undefined' : figure.value.toFixed(3)),
        make('td', '', {}, ends),
        make('td', 'tbb-faint', {}, `of ${whole(figure.of)}`)
      );
    });
    if (row.change !== null) {
      const change = make('td', 'tbb-strong', {}, signed(row.change, 3));
      lines.push(make('tr', '', {}, make('th', '', { scope: 'row' }, 'change'), change, make('td'), make('td')));
    }
    const parts = [
      make('div', 'tbb-tip-name', {}, row.name, make('span', 'tbb-faint', {}, `n ${whole(row.n)}`)),
      make('table', '', {}, make('tbody', '', {}, ...lines))
    ];
    if (!row.isCounted) {
      parts.push(make('div', 'tbb-faint', {}, smallWords(row, this.report.minimum)));
    }
    return parts;
  }
}

/** Says why a group is grey. */
export function smallWords(row: IRow, minimum: number): string {
  if (row.figures[row.figures.length - 1].value === null) {
    return 'undefined: no example that it could be of';
  }
  return row.n < minimum
    ? `fewer than ${minimum} examples: in no gap`
    : 'too few examples of its own, or a mixed group: in no gap';
}

/** Says a row's figures in words. */
export function rowWords(row: IRow, report: IBiasDocument): string {
  const last = report.models.length - 1;
  const { value, low, high } = row.figures[last];
  const ends = low === null ? '' : `, 95 % interval ${written(low)} to ${written(high)}`;
  const before = last ? `, ${report.models[0]} ${written(row.figures[0].value)}` : '';
  const small = row.isCounted ? '' : `, ${smallWords(row, report.minimum)}`;
  return `${report.models[last]} ${written(value)}${ends}${before}${small}`;
}
