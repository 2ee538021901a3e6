/** The class table: counts by split, the weight of each class, and what the loss will see of it. */

import { paint } from './layer-foot';
import { begin, button, Line, make, onEntered, percent, setText, watchWidth, whole } from './panel-dom';
import { follow, IPanelModel } from './panel-model';
import { VirtualRows } from './rows';

interface IClassColumns {
  names: string[];
  counts: Record<'train' | 'validation' | 'test', number[]>;
}

type Parameter = 'class_weights' | 'sampler';

interface IClassState {
  strategies: Record<Parameter, string>;
  weights: Record<Parameter, number[]>;
  shares: number[];
  plain: number[];
  words: string;
  locked: boolean;
}

const ROW_HEIGHT = 28;
const MOST_ROWS = 12;
const NARROW = 640;
const SPLITS = ['train', 'validation', 'test'] as const;
const STRATEGIES: [string, string][] = [
  ['none', 'every example counts alike'],
  ['balanced', 'in inverse proportion to the count of the class'],
  ['effective', 'in inverse proportion to the effective number of examples (Cui et al., 2019)'],
  ['by hand', 'a weight for each class; begins with those in force']
];
const PLACES: [Parameter, string][] = [
  ['class_weights', 'weight in the loss'],
  ['sampler', 'weight in drawing']
];
/** The slider goes by ratios: 0, then 2^-5 to 2^5. */
const OCTAVES = 5;
const STEPS = 100;

type Column = 'name' | 'count' | 'weight' | 'share';

export class ClassView {
  private readonly root: HTMLElement;
  private readonly columns: IClassColumns;
  private readonly most: number;
  private widest = 1;
  private readonly rows: VirtualRows;
  private readonly line = new Line();
  private readonly words = make('div', 'tbp-words', { role: 'status' });
  private readonly found = make('span', 'tbp-found', { role: 'status' });
  private readonly head: HTMLElement;
  private readonly choices = new Map<Parameter, HTMLButtonElement[]>();
  private edited: Parameter = 'class_weights';
  private order: number[] = [];
  private sortBy: Column | null = null;
  private falling = true;
  private wanted = '';
  private readonly ends: (() => void)[];

  constructor(private readonly model: IPanelModel, host: HTMLElement) {
    this.root = begin(host, 'classes');
    this.columns = model.get('columns') as IClassColumns;
    const sums = this.columns.names.map((_, k) => SPLITS.reduce((sum, split) => sum + this.columns.counts[split][k], 0));
    this.most = Math.max(1, ...sums);
    this.rows = new VirtualRows(
      {
        count: () => this.order.length,
        key: place => this.order[place],
        create: number => this.createRow(number),
        update: (element, number, place) => this.updateRow(element, number, place)
      },
      ROW_HEIGHT,
      MOST_ROWS
    );
    this.head = this.makeHead();
    const table = make('div', 'tbp-table', { role: 'table', 'aria-label': 'classes' }, this.head, this.rows.element);
    table.setAttribute('aria-rowcount', String(this.columns.names.length + 1));
    this.root.append(this.makeTools(), ...PLACES.map(place => this.makeChoices(place)), table, this.line.element, this.words);
    this.ends = [
      follow(
        model,
        () => this.draw(),
        message => this.hear(message)
      ),
      watchWidth(this.root, NARROW, () => this.rows.schedule()),
      () => this.rows.destroy()
    ];
    this.arrange();
    this.draw();
  }

  destroy(): void {
    this.ends.forEach(end => end());
  }

  private get state(): IClassState {
    return this.model.get('state') as IClassState;
  }

  private hear(message: Record<string, unknown>): void {
    if (typeof message.refused === 'string') {
      this.line.say(message.refused, true);
      if (message.refused) {
        this.draw();
      }
    }
  }

  private draw(): void {
    const state = this.state;
    for (const [parameter, buttons] of this.choices) {
      buttons.forEach(choice => {
        choice.setAttribute('aria-pressed', String(choice.dataset.name === state.strategies[parameter]));
        choice.disabled = state.locked;
      });
    }
    setText(this.words, state.words);
    this.widest = Math.max(...state.shares, ...state.plain) || 1;
    if (this.sortBy === 'weight' || this.sortBy === 'share') {
      // Rows stay where they are while a hand is at them.
      if (!this.rows.element.contains(document.activeElement)) {
        this.arrange();
      }
    }
    this.rows.render();
  }

  // Above the table.

  private makeTools(): HTMLElement {
    const search = make('input', 'tbp-search', {
      type: 'search',
      placeholder: `search ${whole(this.columns.names.length)} classes`,
      'aria-label': 'search classes'
    });
    search.addEventListener('input', () => {
      this.wanted = search.value.trim().toLowerCase();
      this.arrange();
      setText(this.found, this.wanted ? `${whole(this.order.length)} found` : '');
      this.rows.element.scrollTop = 0;
      this.rows.render();
    });
    const legend = make('span', 'tbp-legend', {});
    for (const split of SPLITS) {
      const sum = this.columns.counts[split].reduce((a, b) => a + b, 0);
      legend.append(make('span', `tbp-key tbp-${split}`, { 'aria-hidden': 'true' }), `${split} ${whole(sum)}`);
    }
    return make('div', 'tbp-tools', {}, search, this.found, make('span', 'tbp-spring'), legend);
  }

  private makeChoices([parameter, label]: [Parameter, string]): HTMLElement {
    const buttons = STRATEGIES.map(([name, help]) => {
      const choice = button(name, 'tbp-choice', () => this.choose(parameter, name), help);
      choice.dataset.name = name;
      return choice;
    });
    this.choices.set(parameter, buttons);
    const group = { role: 'group', 'aria-label': label };
    return make('div', 'tbp-choices tbp-strategy', group, make('span', 'tbp-faint', {}, label), ...buttons);
  }

  private choose(parameter: Parameter, name: string): void {
    this.edited = parameter;
    setText(this.head.querySelector('[data-column=weight]')!, PLACES.find(place => place[0] === parameter)![1]);
    this.model.send({ do: 'strategy', parameter, name });
    this.rows.render();
  }

  private makeHead(): HTMLElement {
    const heads: [Column, string][] = [
      ['name', 'class'],
      ['count', 'examples'],
      ['weight', 'weight in the loss'],
      ['share', 'share of the loss']
    ];
    return make(
      'div',
      'tbp-row tbp-head',
      { role: 'row' },
      ...heads.map(([column, text]) => {
        const sort = make('button', 'tbp-sort', { type: 'button', 'data-column': column }, text);
        sort.addEventListener('click', () => this.sort(column));
        return make('span', `tbp-cell tbp-cell-${column}`, { role: 'columnheader', 'data-of': column }, sort);
      })
    );
  }

  private sort(column: Column): void {
    this.falling = this.sortBy === column ? !this.falling : column !== 'name';
    this.sortBy = column;
    this.head.querySelectorAll<HTMLElement>('[data-of]').forEach(cell => {
      const here = cell.dataset.of === column;
      cell.setAttribute('aria-sort', here ? (this.falling ? 'descending' : 'ascending') : 'none');
    });
    this.arrange();
    this.rows.element.scrollTop = 0;
    this.rows.render();
  }

  private arrange(): void {
    const { names, counts } = this.columns;
    this.order = names.map((_, k) => k).filter(k => !this.wanted || names[k].toLowerCase().includes(this.wanted));
    const state = this.state;
    const values: Record<Column, (k: number) => number> = {
      name: () => 0,
      count: k => counts.train[k],
      weight: k => state.weights[this.edited][k],
      share: k => state.shares[k]
    };
    const sign = this.falling ? -1 : 1;
    if (this.sortBy === 'name') {
      this.order.sort((a, b) => sign * names[a].localeCompare(names[b]));
    } else if (this.sortBy) {
      const value = values[this.sortBy];
      this.order.sort((a, b) => sign * (value(a) - value(b)) || a - b);
    }
  }

  // Rows.

  private createRow(number: number): HTMLElement {
    const { names, counts } = this.columns;
    const cell = (name: string, ...children: (Node | string)[]): HTMLElement =>
      make('span', `tbp-cell tbp-cell-${name}`, { role: 'cell' }, ...children);
    const track = make('span', 'tbp-track tbp-stack', {
      title: SPLITS.map(split => `${split} ${whole(counts[split][number])}`).join(', ')
    });
    for (const split of SPLITS) {
      const bar = make('span', `tbp-${split}`);
      bar.style.width = `${(100 * counts[split][number]) / this.most}%`;
      track.append(bar);
    }
    const slider = make('input', 'tbp-range', {
      type: 'range',
      min: 0,
      max: 2 * OCTAVES * STEPS + 1,
      'aria-label': `weight of ${names[number]}`
    });
    const box = make('input', 'tbp-box', { type: 'text', inputmode: 'decimal', role: 'spinbutton', 'aria-label': `weight of ${names[number]}` });
    slider.addEventListener('input', () => {
      box.value = weightWord(toWeight(Number(slider.value)));
      paint(slider);
    });
    const ask = (value: unknown): void => {
      this.model.send({ do: 'weight', parameter: this.edited, class: number, value });
    };
    slider.addEventListener('change', () => ask(toWeight(Number(slider.value))));
    // What is no number goes as it was typed, to be refused in words.
    onEntered(box, text => ask(Number.isFinite(Number(text)) && text.trim() ? Number(text) : text));
    const share = make('span', 'tbp-track', {}, make('span', 'tbp-fill'), make('span', 'tbp-tick'));
    return make(
      'div',
      'tbp-row',
      { role: 'row' },
      cell('name', make('span', 'tbp-label', { title: names[number] }, names[number])),
      cell('count', track, make('span', 'tbp-number', {}, whole(counts.train[number]))),
      cell('weight', slider, box),
      cell('share', share, make('span', 'tbp-number'))
    );
  }

  private updateRow(element: HTMLElement, number: number, place: number): void {
    const state = this.state;
    element.setAttribute('aria-rowindex', String(place + 2));
    const weight = state.weights[this.edited][number];
    const slider = element.querySelector<HTMLInputElement>('.tbp-range')!;
    const box = element.querySelector<HTMLInputElement>('.tbp-box')!;
    slider.value = String(toPlace(weight));
    slider.setAttribute('aria-valuetext', weightWord(weight));
    slider.disabled = box.disabled = state.locked;
    box.value = box.dataset.shown = weightWord(weight);
    paint(slider);
    const cell = element.lastElementChild as HTMLElement;
    cell.title = `${percent(state.shares[number])} of the loss; ${percent(state.plain[number])} of the examples`;
    const [fill, tick] = Array.from(cell.firstElementChild!.children) as HTMLElement[];
    fill.style.width = `${(100 * state.shares[number]) / this.widest}%`;
    tick.style.left = `min(100% - 1px, ${(100 * state.plain[number]) / this.widest}%)`;
    setText(cell.lastElementChild!, percent(state.shares[number]));
  }
}

function toWeight(place: number): number {
  return place <= 0 ? 0 : Number((2 ** ((place - 1) / STEPS - OCTAVES)).toPrecision(3));
}

function toPlace(weight: number): number {
  return weight <= 0 ? 0 : Math.max(1, Math.round((Math.log2(weight) + OCTAVES) * STEPS) + 1);
}

function weightWord(weight: number): string {
  return String(Number(weight.toPrecision(3)));
}
