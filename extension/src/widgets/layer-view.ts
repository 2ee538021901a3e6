/** The layer view: a tree of stages and modules, what of it trains, from when, and how fast. */

import { begin, button, Line, make, percent, setText, short, watchWidth, whole } from './panel-dom';
import { follow, IRenderContext, IPanelModel } from './panel-model';
import { LayerFoot } from './layer-foot';
import { PlanChips } from './layer-plan';
import { FROZEN, ILayerState, startOf, startWords, stateWords, TRAINING } from './layer-state';
import { drawTimeline, TimelineDrag } from './layer-timeline';
import { ILayerColumns, LayerTree } from './layer-tree';
import { VirtualRows } from './rows';

const ROW_HEIGHT = 26;
const MOST_ROWS = 14;
const NARROW = 720;
const PRESETS: [string, string][] = [
  ['gradual', 'the head first, then one stage more in each epoch'],
  ['backbone', 'freeze everything but the head'],
  ['none', 'freeze nothing']
];
const KEYS =
  'Arrow keys move, left and right fold and unfold, space freezes or unfreezes, shift with arrows takes a range, ' +
  'plus and minus change the epoch from which a row trains';

let instances = 0;

export class LayerView {
  private readonly id = `tbp-layers-${++instances}`;
  private readonly root: HTMLElement;
  private readonly grid: HTMLElement;
  private readonly rows: VirtualRows;
  private readonly tree: LayerTree;
  private readonly plan: PlanChips;
  private readonly foot: LayerFoot;
  private readonly drag: TimelineDrag;
  private readonly planLine = new Line();
  private readonly treeLine = new Line();
  private readonly footLine = new Line();
  private line = this.treeLine;
  private readonly live = make('div', 'tbp-live', { role: 'status' });
  private readonly found = make('span', 'tbp-found', { role: 'status' });
  private readonly axis = make('span', 'tbp-cell tbp-cell-time', { role: 'columnheader' });
  private presets: HTMLButtonElement[] = [];
  private phase = 0;
  private active = 0;
  private anchor = 0;
  private asked: { row: number; epoch: number } | null = null;
  private readonly ends: (() => void)[];

  constructor(private readonly model: IPanelModel, host: HTMLElement) {
    this.root = begin(host, 'layers');
    this.tree = new LayerTree(model.get('columns') as ILayerColumns);
    this.rows = new VirtualRows(this.source(), ROW_HEIGHT, MOST_ROWS);
    this.plan = new PlanChips({
      select: phase => this.select(phase),
      add: epoch => this.send(this.planLine, { do: 'add', epoch }),
      move: (phase, epoch) => this.send(this.planLine, { do: 'move', phase, epoch }),
      remove: phase => this.send(this.planLine, { do: 'remove', phase })
    });
    this.drag = new TimelineDrag(
      () => this.state,
      text => this.treeLine.say(text),
      (row, epoch) => this.send(this.treeLine, { do: 'start', rows: [row], epoch })
    );
    this.foot = new LayerFoot(this.tree, message => this.send(this.footLine, { ...message, phase: this.phase }));
    this.grid = this.makeGrid();
    this.root.append(
      this.makeTools(),
      this.live,
      this.plan.element,
      this.planLine.element,
      this.grid,
      this.treeLine.element,
      this.foot.element,
      this.footLine.element
    );
    this.ends = [
      follow(
        model,
        () => this.draw(),
        message => this.hear(message)
      ),
      watchWidth(this.root, NARROW, () => this.rows.schedule()),
      () => this.rows.destroy()
    ];
    this.draw();
  }

  destroy(): void {
    this.ends.forEach(end => end());
  }

  private get state(): ILayerState {
    return this.model.get('state') as ILayerState;
  }

  private send(line: Line, message: Record<string, unknown>): void {
    this.line = line;
    this.model.send(message);
  }

  private hear(message: Record<string, unknown>): void {
    if (typeof message.preview === 'string') {
      this.footLine.say(message.preview);
    }
    if (typeof message.refused === 'string') {
      [this.planLine, this.treeLine, this.footLine].forEach(line => line.say(''));
      this.line.say(message.refused, true);
      if (message.refused) {
        // What a control shows beyond the recipe goes back.
        this.foot.draw(this.state, this.phase, true);
        this.plan.draw({ ...this.state, phases: [...this.state.phases] }, -1);
        this.draw();
      }
    }
  }

  private draw(): void {
    const state = this.state;
    this.asked = null;
    this.phase = Math.min(this.phase, state.phases.length - 1);
    this.root.classList.toggle('tbp-driving', !!state.live);
    this.plan.draw(state, this.phase);
    this.foot.draw(state, this.phase);
    const words = state.live ? `${state.live.run}, ${state.live.where}: changes act on the run now` : '';
    setText(this.live, [words, state.live?.words].filter(Boolean).join(' · '));
    setText(this.axis, state.live ? '' : state.epochs === 1 ? 'epoch 1' : `epoch 1 to ${state.epochs}`);
    this.presets.forEach(preset => preset.setAttribute('aria-pressed', String(preset.dataset.name === state.preset)));
    this.rows.render();
    this.point();
  }

  private select(phase: number): void {
    this.phase = phase;
    this.draw();
  }

  // Around the tree.

  private makeTools(): HTMLElement {
    const search = make('input', 'tbp-search', {
      type: 'search',
      placeholder: `search ${whole(this.tree.count)} rows`,
      'aria-label': 'search stages and modules'
    });
    search.addEventListener('input', () => {
      const hits = this.tree.search(search.value);
      setText(this.found, search.value.trim() ? `${whole(hits)} found` : '');
      this.active = this.anchor = this.tree.visible[0] ?? 0;
      this.rows.element.scrollTop = 0;
      this.rows.render();
      this.point();
    });
    search.addEventListener('keydown', event => {
      if (event.key === 'ArrowDown' || event.key === 'Enter') {
        this.grid.focus();
        event.preventDefault();
      }
    });
    this.presets = PRESETS.map(([name, help]) => {
      const preset = button(name, 'tbp-choice', () => this.send(this.planLine, { do: 'preset', name }), help);
      preset.dataset.name = name;
      return preset;
    });
    const group = make(
      'span',
      'tbp-choices',
      { role: 'group', 'aria-label': 'what is frozen' },
      make('span', 'tbp-faint', {}, 'freeze'),
      ...this.presets
    );
    return make('div', 'tbp-tools', {}, search, this.found, make('span', 'tbp-spring'), group);
  }

  private makeGrid(): HTMLElement {
    const grid = make('div', 'tbp-grid', {
      id: this.id,
      role: 'treegrid',
      tabindex: 0,
      'aria-label': `layers from input to head. ${KEYS}`,
      'aria-multiselectable': 'true',
      'aria-keyshortcuts': 'Space Plus Minus'
    });
    const heads: [string, string][] = [
      ['dot', ''],
      ['name', 'stage, input to head'],
      ['bar', 'share of parameters'],
      ['size', 'parameters']
    ];
    const header = make(
      'div',
      'tbp-row tbp-head',
      { role: 'row' },
      ...heads.map(([name, text]) =>
        make(
          'span',
          `tbp-cell tbp-cell-${name}`,
          { role: 'columnheader' },
          // The column of dots is named for ears alone.
          text || make('span', 'tbp-hidden', {}, 'state')
        )
      ),
      this.axis,
      make('span', 'tbp-cell tbp-cell-when', { role: 'columnheader' }, 'trains'),
      make('span', 'tbp-cell tbp-cell-rate', { role: 'columnheader', title: 'learning rate against the head’s' }, 'lr')
    );
    grid.append(header, this.rows.element);
    grid.addEventListener('keydown', event => this.press(event));
    this.rows.element.addEventListener('click', event => this.click(event));
    this.rows.element.addEventListener('pointerdown', event => this.grab(event));
    return grid;
  }

  // Rows.

  private source(): ConstructorParameters<typeof VirtualRows>[0] {
    return {
      count: () => this.tree.visible.length,
      key: place => this.tree.visible[place],
      create: row => this.createRow(row),
      update: (element, row, place) => this.updateRow(element, row, place)
    };
  }

  private createRow(row: number): HTMLElement {
    const tree = this.tree;
    const cell = (name: string, ...children: (Node | string)[]): HTMLElement =>
      make('span', `tbp-cell tbp-cell-${name}`, { role: 'gridcell' }, ...children);
    const share = tree.size(row) / tree.total;
    const fill = make('span', 'tbp-fill');
    fill.style.width = tree.size(row) ? `max(3px, ${(100 * share).toFixed(2)}%)` : '0';
    const name = cell(
      'name',
      make('span', `tbp-twist${tree.isBranch(row) ? '' : ' tbp-leaf'}`, { 'aria-hidden': 'true' }),
      make('span', 'tbp-label', { title: tree.paths[row] }, tree.label(row)),
      make('span', 'tbp-kind', {}, tree.kind(row)),
      ...(tree.sites.get(row) ?? []).map(kind => make('span', 'tbp-site', { title: `drops: ${kind}` }, kind))
    );
    name.style.paddingInlineStart = `${14 * tree.depth(row)}px`;
    const made = make(
      'div',
      `tbp-row${tree.depth(row) ? ' tbp-module' : ''}`,
      { id: `${this.id}-${row}`, role: 'row', 'aria-level': tree.depth(row) + 1 },
      cell('dot', make('span', 'tbp-dot', { 'aria-hidden': 'true' }), make('span', 'tbp-hidden')),
      name,
      cell('bar', make('span', 'tbp-track', { title: percent(share) }, fill)),
      cell('size', make('span', 'tbp-long', {}, whole(tree.size(row))), make('span', 'tbp-short', {}, short(tree.size(row)))),
      cell('time'),
      cell('when', make('span', 'tbp-long'), make('span', 'tbp-short', { 'aria-hidden': 'true' })),
      cell('rate')
    );
    made.dataset.row = String(row);
    return made;
  }

  private updateRow(element: HTMLElement, row: number, place: number): void {
    const state = this.state;
    const at = state.phases[this.phase].rows[row];
    const start = startOf(state, row);
    const tree = this.tree;
    element.dataset.state = at;
    element.classList.toggle('tbp-later', at === FROZEN && start !== null);
    element.classList.toggle('tbp-active', row === this.active);
    element.setAttribute('aria-rowindex', String(place + 2));
    element.setAttribute('aria-selected', String(this.isSelected(row)));
    if (tree.isBranch(row)) {
      element.setAttribute('aria-expanded', String(tree.isOpen(row)));
    }
    const [dot, , , , time, when, rate] = Array.from(element.children) as HTMLElement[];
    setText(dot.lastElementChild!, stateWords(at));
    dot.title = at === TRAINING ? 'freeze' : 'train';
    const word = state.live ? stateWords(at) : startWords(start);
    setText(when.firstElementChild!, word);
    setText(when.lastElementChild!, word.replace('from the ', '').replace('from ', ''));
    time.classList.toggle('tbp-still', !!state.live);
    time.title = state.live ? '' : 'drag to change from when it trains';
    drawTimeline(time, state.live ? { ...state, phases: [] } : state, row);
    const scale = state.decay ** (tree.stages.length - 1 - tree.stageOf[row]);
    setText(rate, tree.depth(row) ? '' : `× ${scale >= 0.995 ? '1.0' : scale.toPrecision(2).replace(/^0/, '')}`);
    rate.title = tree.depth(row) ? '' : `learning rate ${(state.lr * scale).toPrecision(3)} at its peak`;
  }

  private isSelected(row: number): boolean {
    const places = [this.tree.visible.indexOf(this.anchor), this.tree.visible.indexOf(this.active)];
    const here = this.tree.visible.indexOf(row);
    return here >= Math.min(...places) && here <= Math.max(...places);
  }

  /** Tells assistive technology which row is meant. */
  private point(): void {
    this.grid.setAttribute('aria-rowcount', String(this.tree.visible.length + 1));
    this.grid.setAttribute('aria-activedescendant', `${this.id}-${this.active}`);
  }

  // By hand.

  private range(): number[] {
    const [a, b] = [this.tree.visible.indexOf(this.anchor), this.tree.visible.indexOf(this.active)];
    return a < 0 || b < 0 ? [this.active] : this.tree.visible.slice(Math.min(a, b), Math.max(a, b) + 1);
  }

  private toggle(rows: number[], trains?: boolean): void {
    const now = this.state.phases[this.phase].rows;
    const wanted = trains ?? rows.some(row => now[row] !== TRAINING);
    this.send(this.treeLine, { do: 'train', rows, phase: this.phase, trains: wanted });
  }

  private go(row: number, extend = false): void {
    this.active = row;
    if (!extend) {
      this.anchor = row;
    }
    this.rows.reveal(this.tree.visible.indexOf(row));
    this.point();
  }

  private fold(row: number, open: boolean): void {
    this.tree.setOpen(row, open);
    this.rows.render();
    this.go(row);
  }

  private rowOf(event: Event): number | null {
    const element = (event.target as Element).closest<HTMLElement>('.tbp-row');
    return element?.dataset.row ? Number(element.dataset.row) : null;
  }

  private click(event: MouseEvent): void {
    const row = this.rowOf(event);
    const target = event.target as Element;
    if (row === null || target.closest('.tbp-cell-time')) {
      return;
    }
    this.grid.focus({ preventScroll: true });
    if (target.closest('.tbp-cell-dot')) {
      const from = this.anchor;
      this.go(row, event.shiftKey);
      // A range takes the state that its first row has.
      const first = this.state.phases[this.phase].rows[from];
      this.toggle(event.shiftKey ? this.range() : [row], event.shiftKey ? first === TRAINING : undefined);
    } else if (this.tree.isBranch(row) && !event.shiftKey && target.closest('.tbp-cell-name')) {
      this.fold(row, !this.tree.isOpen(row));
    } else {
      this.go(row, event.shiftKey);
    }
  }

  private grab(event: PointerEvent): void {
    const time = (event.target as Element).closest<HTMLElement>('.tbp-cell-time');
    const row = this.rowOf(event);
    if (time && row !== null && event.button === 0 && !this.state.live) {
      this.go(row);
      this.drag.begin(event, time, row);
    }
  }

  private press(event: KeyboardEvent): void {
    const visible = this.tree.visible;
    const place = visible.indexOf(this.active);
    const row = this.active;
    const jump = (to: number): void => {
      const next = Math.max(0, Math.min(visible.length - 1, to));
      this.go(visible[next], event.shiftKey);
    };
    const acts: Record<string, () => void> = {
      ArrowDown: () => jump(place + 1),
      ArrowUp: () => jump(place - 1),
      PageDown: () => jump(place + MOST_ROWS),
      PageUp: () => jump(place - MOST_ROWS),
      Home: () => jump(0),
      End: () => jump(visible.length - 1),
      ArrowRight: () => (this.tree.isOpen(row) || !this.tree.isBranch(row) ? jump(place + 1) : this.fold(row, true)),
      ArrowLeft: () => this.outwards(row),
      ' ': () => this.toggle(this.range()),
      Enter: () => this.fold(row, !this.tree.isOpen(row)),
      '+': () => this.shift(row, 1),
      '=': () => this.shift(row, 1),
      '-': () => this.shift(row, -1)
    };
    const act = acts[event.key];
    if (act && visible.length && !event.ctrlKey && !event.metaKey && !event.altKey) {
      act();
      event.preventDefault();
      event.stopPropagation();
    }
  }

  private outwards(row: number): void {
    if (this.tree.isBranch(row) && this.tree.isOpen(row)) {
      this.fold(row, false);
    } else if (this.tree.parents[row] >= 0) {
      this.go(this.tree.parents[row]);
    }
  }

  /** Lets a row train from an epoch earlier or later. */
  private shift(row: number, by: number): void {
    const state = this.state;
    if (state.live) {
      return;
    }
    // Keys may come faster than the kernel answers.
    const now = this.asked?.row === row ? this.asked.epoch : (startOf(state, row) ?? state.epochs);
    const next = Math.max(0, Math.min(state.epochs, now + by));
    if (next !== now) {
      this.asked = { row, epoch: next };
      this.send(this.treeLine, { do: 'start', rows: [row], epoch: next >= state.epochs ? null : next });
    }
  }
}

/** Draws the layer view of a model. */
export function renderLayers({ model, el }: IRenderContext): () => void {
  const view = new LayerView(model, el);
  return () => view.destroy();
}
