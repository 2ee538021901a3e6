/** The dot plot: a row a group, with its interval; the baseline hollow, the tuned model filled. */

import { everyOf, IBiasDocument, IChoice, IRow, rowsOf, Sort, sorted, ticksOf, written } from './bias-model';
import { BiasTip, rowWords } from './bias-tip';
import { make, whole } from './panel-dom';

export class BiasPlot {
  readonly element: HTMLElement;
  private rows: IRow[] = [];
  private lines: HTMLElement[] = [];

  constructor(
    private readonly report: IBiasDocument,
    private readonly tip: BiasTip,
    private readonly onSort: (sort: Sort) => void
  ) {
    this.element = make('div', 'tbb-plot', { role: 'grid' });
    this.element.addEventListener('keydown', event => this.press(event));
    this.element.addEventListener('pointermove', event => {
      const row = this.rowAt(event.target);
      if (row) {
        this.tip.show(row, event.clientX, event.clientY);
      } else {
        this.tip.hide();
      }
    });
    this.element.addEventListener('pointerleave', () => this.tip.hide());
    this.element.addEventListener('focusin', event => {
      const row = this.rowAt(event.target);
      // A click shows the figures at the pointer already.
      if (row && (event.target as HTMLElement).matches(':focus-visible')) {
        const box = this.lines[this.rows.indexOf(row)].getBoundingClientRect();
        this.tip.show(row, box.left + box.width / 3, box.bottom - 10);
      }
    });
    this.element.addEventListener('focusout', () => this.tip.hide());
    this.element.addEventListener('scroll', () => this.tip.hide(), { passive: true });
  }

  draw(choice: IChoice, label: string): void {
    const attribute = this.report.attributes[choice.attribute];
    const focused = this.lines.findIndex(line => line === document.activeElement);
    const name = focused < 0 ? '' : this.rows[focused].name;
    this.rows = sorted(rowsOf(this.report, choice), choice.sort, choice.falling);
    const last = this.report.models.length - 1;
    const every = everyOf(this.report, choice);
    const ticks = ticksOf([
      ...this.rows.flatMap(row => [row.figures[last].low, row.figures[last].high, ...row.figures.map(one => one.value)]),
      every[last]
    ]);
    this.lines = this.rows.map((row, place) => this.line(row, place, ticks, every[last]));
    this.element.setAttribute('aria-label', label);
    this.element.setAttribute('aria-rowcount', String(this.rows.length + 1));
    this.element.replaceChildren(this.head(choice, attribute.name), ...this.lines, this.axis(ticks));
    const place = Math.max(0, name ? this.rows.findIndex(row => row.name === name) : 0);
    this.lines[place]?.setAttribute('tabindex', '0');
    if (name) {
      this.lines[place]?.focus({ preventScroll: true });
    }
  }

  private head(choice: IChoice, attribute: string): HTMLElement {
    const cell = (name: string, sort: Sort | null, text: string): HTMLElement => {
      const here = sort === choice.sort;
      const order = sort ? (here ? (choice.falling ? 'descending' : 'ascending') : 'none') : undefined;
      const made = make('span', `tbb-cell tbb-cell-${name}`, { role: 'columnheader', 'aria-sort': order });
      if (sort) {
        const arrow = here ? (choice.falling ? ' ↓' : ' ↑') : '';
        const button = make('button', 'tbb-sort', { type: 'button', 'data-sort': sort, title: `sort by ${text}` }, text);
        button.append(make('span', '', { 'aria-hidden': 'true' }, arrow));
        button.addEventListener('click', () => {
          this.onSort(sort);
          this.element.querySelector<HTMLElement>(`[data-sort=${sort}]`)?.focus();
        });
        made.append(button);
      } else {
        made.append(make('span', 'tbb-spoken', {}, text));
      }
      return made;
    };
    return make(
      'div',
      'tbb-row tbb-row-head',
      { role: 'row', 'aria-rowindex': 1 },
      cell('name', 'name', attribute),
      cell('track', null, 'plot'),
      cell('value', 'value', this.report.models[this.report.models.length - 1]),
      cell('n', 'n', 'n')
    );
  }

  private line(row: IRow, place: number, ticks: number[], every: number | null): HTMLElement {
    const track = make('span', 'tbb-track', { 'aria-hidden': 'true' });
    track.style.setProperty('--tbb-steps', String(ticks.length - 1));
    if (every !== null) {
      track.append(at('tbb-every', every, ticks));
    }
    row.figures.forEach((figure, k) => {
      const base = k < row.figures.length - 1 ? ' tbb-base' : '';
      if (figure.value === null) {
        return;
      }
      if (figure.low !== null && figure.high !== null) {
        const bar = at(`tbb-bar${base}`, figure.low, ticks);
        bar.style.width = `${percent(figure.high, ticks) - percent(figure.low, ticks)}%`;
        track.append(bar);
      }
      track.append(at(`tbb-dot${base}`, figure.value, ticks));
    });
    const value = row.figures[row.figures.length - 1].value;
    return make(
      'div',
      `tbb-row${row.isCounted ? '' : ' tbb-small'}`,
      { role: 'row', tabindex: -1, 'aria-rowindex': place + 2, 'data-place': place },
      make('span', 'tbb-cell tbb-cell-name', { role: 'rowheader', title: row.name }, row.name),
      make('span', 'tbb-cell tbb-cell-track', { role: 'gridcell' }, track, make('span', 'tbb-spoken', {}, rowWords(row, this.report))),
      make('span', 'tbb-cell tbb-cell-value', { role: 'gridcell' }, written(value)),
      make('span', 'tbb-cell tbb-cell-n', { role: 'gridcell' }, `n ${whole(row.n)}`)
    );
  }

  private axis(ticks: number[]): HTMLElement {
    const axis = make('span', 'tbb-axis');
    ticks.forEach(tick => {
      const mark = at('tbb-tick', tick, ticks);
      mark.textContent = String(tick);
      axis.append(mark);
    });
    return make(
      'div',
      'tbb-row tbb-row-axis',
      { 'aria-hidden': 'true' },
      make('span', 'tbb-cell tbb-cell-name'),
      make('span', 'tbb-cell tbb-cell-track', {}, axis),
      make('span', 'tbb-cell tbb-cell-value'),
      make('span', 'tbb-cell tbb-cell-n')
    );
  }

  private rowAt(target: EventTarget | null): IRow | undefined {
    const line = target instanceof Element ? target.closest<HTMLElement>('[data-place]') : null;
    return line ? this.rows[Number(line.dataset.place)] : undefined;
  }

  private press(event: KeyboardEvent): void {
    const from = this.lines.findIndex(line => line === document.activeElement);
    if (event.key === 'Escape') {
      this.tip.hide();
    }
    const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: this.lines.length - 1 }[event.key];
    if (from < 0 || to === undefined) {
      return;
    }
    event.preventDefault();
    const next = this.lines[Math.max(0, Math.min(to, this.lines.length - 1))];
    this.lines[from].setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  }
}

function percent(value: number, ticks: number[]): number {
  const [first, last] = [ticks[0], ticks[ticks.length - 1]];
  return 100 * Math.max(0, Math.min(1, (value - first) / (last - first)));
}

function at(name: string, value: number, ticks: number[]): HTMLElement {
  const mark = make('i', name);
  mark.style.left = `${percent(value, ticks)}%`;
  return mark;
}
