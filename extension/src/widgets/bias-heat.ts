/** An intersection of two attributes as a heat map. */

import { IBiasDocument, IChoice, IRow, rowsOf, written } from './bias-model';
import { BiasTip, rowWords } from './bias-tip';
import { make, whole } from './panel-dom';

/** Shades: the strongest still lets text be read on it, in light and dark. */
const [PALEST, SHADES] = [5, 50];

export class BiasHeat {
  readonly element = make('div', 'tbb-heat');
  private rows: IRow[] = [];

  constructor(private readonly report: IBiasDocument, private readonly tip: BiasTip) {
    const show = (event: Event, x?: number, y?: number): void => {
      const cell = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-place]') : null;
      const row = cell && this.rows[Number(cell.dataset.place)];
      if (!cell || !row) {
        this.tip.hide();
        return;
      }
      const box = cell.getBoundingClientRect();
      this.tip.show(row, x ?? box.left + box.width / 2, y ?? box.bottom - 12);
    };
    this.element.addEventListener('pointermove', event => show(event, event.clientX, event.clientY));
    this.element.addEventListener('pointerleave', () => this.tip.hide());
    this.element.addEventListener('focusin', event => {
      if ((event.target as HTMLElement).matches(':focus-visible')) {
        show(event);
      }
    });
    this.element.addEventListener('focusout', () => this.tip.hide());
    this.element.addEventListener('keydown', event => this.press(event));
    this.element.addEventListener('scroll', () => this.tip.hide(), { passive: true });
  }

  draw(choice: IChoice, label: string): void {
    const attribute = this.report.attributes[choice.attribute];
    const { axes, columns, parts } = attribute;
    if (!axes || !columns || !parts) {
      this.element.replaceChildren();
      return;
    }
    this.rows = rowsOf(this.report, choice);
    const groups = attribute.views[choice.split].groups;
    const place = new Map(groups.map((group, k) => [parts[group].join(), k]));
    const used = (axis: number): number[] =>
      axes[axis].map((_, k) => k).filter(k => groups.some(group => parts[group][axis] === k));
    const [down, across] = [used(0), used(1)];
    const known = this.rows.filter(row => row.isCounted).map(row => row.figures[row.figures.length - 1].value ?? 0);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const head = make(
      'tr',
      '',
      {},
      make('th', 'tbb-corner', { scope: 'col' }, columns[0]),
      ...across.map(k => make('th', '', { scope: 'col', title: axes[1][k] }, axes[1][k]))
    );
    const body = down.map(r =>
      make(
        'tr',
        '',
        {},
        make('th', '', { scope: 'row', title: axes[0][r] }, axes[0][r]),
        ...across.map(c => this.cell(place.get([r, c].join()), low, high))
      )
    );
    const caption = make('caption', '', {}, make('span', 'tbb-spoken', {}, `${label}; columns: `), columns[1]);
    const table = make('table', '', {}, caption, make('thead', '', {}, head), make('tbody', '', {}, ...body));
    this.element.replaceChildren(table, this.legend(low, high));
    this.element.querySelector('[data-place]')?.setAttribute('tabindex', '0');
  }

  private cell(place: number | undefined, low: number, high: number): HTMLElement {
    if (place === undefined) {
      return make('td', 'tbb-none', {}, make('span', 'tbb-spoken', {}, 'no examples'));
    }
    const row = this.rows[place];
    const value = row.figures[row.figures.length - 1].value;
    const made = make(
      'td',
      row.isCounted ? '' : 'tbb-small',
      { tabindex: -1, 'data-place': place },
      make('span', 'tbb-heat-value', { 'aria-hidden': 'true' }, written(value)),
      make('span', 'tbb-heat-n', { 'aria-hidden': 'true' }, `n ${whole(row.n)}`),
      make('span', 'tbb-spoken', {}, `${rowWords(row, this.report)}, n ${whole(row.n)}`)
    );
    if (row.isCounted && value !== null) {
      made.style.setProperty('--tbb-shade', `${shade(value, low, high)}%`);
    }
    return made;
  }

  private legend(low: number, high: number): HTMLElement {
    if (!(high > low)) {
      return make('div', 'tbb-scale');
    }
    const steps = Array.from({ length: 5 }, (_, k) => {
      const step = make('i', 'tbb-swatch');
      step.style.setProperty('--tbb-shade', `${PALEST + (SHADES * k) / 4}%`);
      return step;
    });
    return make('div', 'tbb-scale', { 'aria-hidden': 'true' }, written(low), make('span', 'tbb-swatches', {}, ...steps), written(high));
  }

  /** Goes from cell to cell. */
  private press(event: KeyboardEvent): void {
    const here = document.activeElement?.closest<HTMLTableCellElement>('td');
    if (event.key === 'Escape') {
      this.tip.hide();
    }
    const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    if (!here || !step || !this.element.contains(here)) {
      return;
    }
    event.preventDefault();
    let line = here.parentElement as HTMLTableRowElement | null;
    let column = here.cellIndex;
    // Combinations without examples are passed over.
    for (;;) {
      line = step[0] > 0 ? (line?.nextElementSibling as typeof line) : step[0] < 0 ? (line?.previousElementSibling as typeof line) : line;
      column += step[1];
      const next = line?.cells[column];
      if (!next) {
        return;
      }
      if (next.dataset.place !== undefined) {
        here.setAttribute('tabindex', '-1');
        next.setAttribute('tabindex', '0');
        next.focus();
        return;
      }
    }
  }
}

function shade(value: number, low: number, high: number): number {
  return PALEST + (high > low ? (SHADES * (value - low)) / (high - low) : 0);
}
