/** The curves of one or several runs: charts, recall by class, confusion, histograms. The widget and the viewers share it. */

import { Axis, AxisName } from './axis';
import { element } from './element';
import { ConfusionPage } from './confusion';
import { ChartGrid, IGridLook } from './grid';
import { HistogramPage } from './histograms';
import { colour, dashes, onThemeChange, readTheme } from './palette';
import { hasRecall, RecallPage } from './recall';
import type { CurveStore, RunCurves } from './store';
import { Summary } from './summary';
import { swatch } from './swatch';

/** What a view may ask of who gives the curves; all of it is answered through the store. */
export interface IAsk {
  /** Finer rows of some steps, by run; `null` where all is shown again. */
  detail(ranges: Record<string, [number, number]> | null, width: number): void;
  /** The matrices of confusion, or the histograms, of a run. */
  tensors(kind: 'confusion' | 'histograms', key: string): void;
  /** That the training logs histograms at its next step. */
  takeHistograms?(key: string): void;
}

export interface IViewOptions {
  title?: string;
  ask?: IAsk;
}

type PageName = 'curves' | 'details' | 'classes' | 'confusion' | 'weights';

const PAGES: [PageName, string][] = [
  ['curves', 'Overview'],
  ['details', 'Details'],
  ['classes', 'Classes'],
  ['confusion', 'Confusion'],
  ['weights', 'Weights']
];
const LIVE = ['running', 'queued', ''];

let views = 0;

export class CurvesView {
  constructor(
    host: HTMLElement,
    private readonly _store: CurveStore,
    private readonly _options: IViewOptions = {}
  ) {
    this.node = element('section', 'tb-curves');
    this.node.setAttribute('aria-label', _options.title ?? 'Curves');
    this._build();
    host.append(this.node);
    this._forgetStore = _store.onChange(() => this._later());
    this._forgetTheme = onThemeChange(this.node, () => {
      this._chipShape = '';
      this._summary?.restyle();
      this._later();
    });
    // What is scrolled away is not drawn until it is seen.
    this._sight = new IntersectionObserver(entries => {
      this._isSeen = entries[entries.length - 1].isIntersecting;
      this._later();
    });
    this._sight.observe(this.node);
    this._open('curves');
  }

  readonly node: HTMLElement;

  destroy(): void {
    cancelAnimationFrame(this._frame);
    this._sight.disconnect();
    this._forgetStore();
    this._forgetTheme();
    this._close();
    this.node.remove();
  }

  private _build(): void {
    const head = element('div', 'tb-head');
    const title = element('h3', 'tb-title');
    title.textContent = this._options.title ?? 'Curves';
    this._tabs = element('div', 'tb-tabs');
    this._tabs.setAttribute('role', 'tablist');
    const id = `tb-page-${++views}`;
    for (const [name, text] of PAGES) {
      const tab = element('button', 'tb-tab');
      tab.type = 'button';
      tab.textContent = text;
      tab.dataset.page = name;
      tab.setAttribute('role', 'tab');
      tab.setAttribute('aria-controls', id);
      tab.addEventListener('click', () => this._open(name));
      this._tabs.append(tab);
    }
    this._tabs.addEventListener('keydown', event => this._moveTab(event));
    this._state = element('span', 'tb-state');
    head.append(title, this._tabs, this._state);
    this._chips = element('div', 'tb-chips');
    this._tools = this._buildTools();
    this._page = element('div', 'tb-page');
    this._page.id = id;
    this._page.setAttribute('role', 'tabpanel');
    this._about = element('select', 'tb-input tb-about');
    this._about.setAttribute('aria-label', 'Run that this page is about');
    this._about.hidden = true;
    this._about.addEventListener('change', () => {
      this._asked = '';
      this._later();
    });
    this._foot = element('div', 'tb-foot');
    this.node.append(head, this._chips, this._tools, this._about, this._page, this._foot);
  }

  private _buildTools(): HTMLElement {
    const tools = element('div', 'tb-tools');
    const slider = element('input', 'tb-range');
    slider.type = 'range';
    slider.min = '0';
    slider.max = '0.99';
    slider.step = '0.01';
    slider.value = String(this._look.smoothing);
    slider.setAttribute('aria-label', 'Smoothing of the curves of every step');
    const figure = element('span', 'tb-figure');
    figure.textContent = this._look.smoothing.toFixed(2);
    slider.addEventListener('input', () => {
      figure.textContent = Number(slider.value).toFixed(2);
      this._change({ smoothing: Number(slider.value) });
    });
    const smoothing = element('label', 'tb-tool');
    smoothing.append('smoothing ', slider, figure);
    this._axis = element('select', 'tb-input');
    this._axis.setAttribute('aria-label', 'What the horizontal axis counts');
    for (const name of ['step', 'epoch', 'time']) {
      const option = element('option');
      option.value = name;
      option.textContent = name;
      this._axis.append(option);
    }
    this._axis.addEventListener('change', () => {
      this._zoom(null);
      this._change({ axis: this._axis.value as AxisName });
    });
    const axis = element('label', 'tb-tool');
    axis.append('by ', this._axis);
    this._reset = element('button', 'tb-button');
    this._reset.type = 'button';
    this._reset.textContent = 'Show all';
    this._reset.hidden = true;
    this._reset.addEventListener('click', () => this._zoom(null));
    const toggle = (text: string, title: string, change: (on: boolean) => void): HTMLElement => {
      const box = element('input');
      box.type = 'checkbox';
      box.addEventListener('change', () => change(box.checked));
      const label = element('label', 'tb-tool');
      label.title = title;
      label.append(box, ` ${text}`);
      return label;
    };
    tools.append(
      smoothing,
      axis,
      toggle('log', 'Logarithmic values', log => this._change({ log })),
      toggle('leave out spikes', 'The few values far from the others do not set the range', clip => this._change({ clip })),
      this._reset
    );
    return tools;
  }

  private _moveTab(event: KeyboardEvent): void {
    const tabs = [...this._tabs.children].filter((tab): tab is HTMLButtonElement => !(tab as HTMLElement).hidden);
    const at = tabs.findIndex(tab => tab.dataset.page === this._name);
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (move) {
      const next = tabs[(at + move + tabs.length) % tabs.length];
      this._open(next.dataset.page as PageName);
      next.focus();
      event.preventDefault();
    }
  }

  private _open(name: PageName): void {
    this._close();
    this._name = name;
    for (const tab of this._tabs.children as Iterable<HTMLElement>) {
      const isOpen = tab.dataset.page === name;
      tab.setAttribute('aria-selected', String(isOpen));
      tab.tabIndex = isOpen ? 0 : -1;
    }
    this._tools.hidden = name !== 'curves' && name !== 'details';
    const ask = this._options.ask;
    if (name === 'curves' || name === 'details') {
      this._grid = new ChartGrid(this._page, this._store, name === 'curves', range => this._zoom(range));
      this._summary = name === 'curves' ? new Summary(this._page) : null;
    } else if (name === 'classes') {
      this._recall = new RecallPage(this._page);
    } else if (name === 'confusion') {
      this._confusion = new ConfusionPage(this._page);
    } else {
      const take = ask?.takeHistograms && ((): void => ask.takeHistograms?.(this._first?.key ?? ''));
      this._histograms = new HistogramPage(this._page, take ?? null);
    }
    this._asked = '';
    this._later();
  }

  private _close(): void {
    this._grid?.destroy();
    this._recall?.destroy();
    this._confusion?.destroy();
    this._histograms?.destroy();
    this._summary?.node.remove();
    this._grid = this._recall = this._confusion = this._histograms = this._summary = null;
  }

  private _change(look: Partial<IGridLook>): void {
    this._look = { ...this._look, ...look };
    this._later();
  }

  private _zoom(range: [number, number] | null): void {
    this._reset.hidden = range === null;
    this._change({ range });
    clearTimeout(this._patience);
    const ask = this._options.ask;
    if (!ask) {
      return;
    }
    // A reader who zooms step by step asks once, when they have come to rest.
    this._patience = window.setTimeout(() => {
      const ranges: Record<string, [number, number]> = {};
      for (const run of this._shown) {
        const axis = new Axis(this._look.axis, run);
        if (range) {
          ranges[run.key] = [axis.step(range[0]), axis.step(range[1])];
        }
      }
      ask.detail(range && ranges, Math.round(this._page.clientWidth));
    }, 120);
  }

  private get _shown(): RunCurves[] {
    return this._store.runs.filter(run => run.isShown);
  }

  /** The run that pages on one run are about: the one that was chosen, or the first that has something there. */
  private get _first(): RunCurves | undefined {
    const runs = this._store.runs;
    const shown = this._shown;
    const has = (run: RunCurves): boolean =>
      this._name === 'confusion' ? run.hasConfusion : run.histogramTags.length > 0;
    return runs.find(run => run.key === this._about.value) ?? shown.find(has) ?? shown[0] ?? runs[0];
  }

  /** Offer the runs where a page is about one of several. */
  private _updateAbout(): void {
    const runs = this._store.runs;
    this._about.hidden = runs.length < 2 || (this._name !== 'confusion' && this._name !== 'weights');
    const shape = JSON.stringify(runs.map(run => [run.key, run.name]));
    if (shape !== this._aboutShape) {
      this._aboutShape = shape;
      const chosen = this._about.value;
      this._about.replaceChildren(...runs.map(run => new Option(run.name, run.key)));
      this._about.value = runs.some(run => run.key === chosen) ? chosen : '';
    }
    if (!this._about.hidden && !this._about.value) {
      this._about.value = this._first?.key ?? '';
    }
  }

  private _later(): void {
    if (!this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        if (this._isSeen && this.node.isConnected) {
          this._update();
        }
      });
    }
  }

  private _update(): void {
    const runs = this._store.runs;
    const shown = this._shown;
    const hues = shown.map(run => runs.indexOf(run));
    this._updateTabs(shown);
    this._updateAxis(shown);
    this._updateChips();
    this._updateAbout();
    this._grid?.update(this._look, shown, hues);
    this._summary?.update(shown, hues);
    this._recall?.update(shown);
    const first = this._first;
    if (first && (this._confusion || this._histograms)) {
      this._askTensors(this._confusion ? 'confusion' : 'histograms', first);
      this._confusion?.update(first.confusion);
      this._histograms?.update(first.histograms, LIVE.includes(first.state));
    }
    this._updateFoot(shown);
  }

  /** Ask for what is not sent by itself, and again when there is more of it. */
  private _askTensors(kind: 'confusion' | 'histograms', run: RunCurves): void {
    const epochs = run.curves.get('epoch')?.length ?? 0;
    const asked = JSON.stringify([kind, run.key, kind === 'confusion' ? epochs : run.marks.length, run.histogramTags]);
    if (asked !== this._asked) {
      this._asked = asked;
      this._options.ask?.tensors(kind, run.key);
    }
  }

  private _updateTabs(shown: readonly RunCurves[]): void {
    const ask = this._options.ask;
    const has: Record<PageName, boolean> = {
      curves: true,
      details: shown.some(run => run.curves.size > 0),
      classes: shown.some(hasRecall),
      confusion: shown.some(run => run.hasConfusion),
      weights: shown.some(
        run => run.histogramTags.length > 0 || (ask?.takeHistograms !== undefined && run.state === 'running')
      )
    };
    for (const tab of this._tabs.children as Iterable<HTMLElement>) {
      tab.hidden = !has[tab.dataset.page as PageName] && tab.dataset.page !== this._name;
    }
  }

  private _updateAxis(shown: readonly RunCurves[]): void {
    for (const option of this._axis.options) {
      option.disabled = !shown.every(run => new Axis(option.value as AxisName, run).isKnown);
    }
  }

  /** Show a button for each run, which shows or hides it; for one run, its name alone. */
  private _updateChips(): void {
    const runs = this._store.runs;
    const shape = JSON.stringify(runs.map(run => [run.name, run.state, run.isShown]));
    if (shape === this._chipShape) {
      return;
    }
    this._chipShape = shape;
    this._chips.replaceChildren();
    this._chips.hidden = runs.length < 2;
    this._state.textContent = runs.length === 1 ? [runs[0].name, runs[0].state].filter(Boolean).join(' · ') : '';
    if (runs.length < 2) {
      return;
    }
    const theme = readTheme(this.node);
    runs.forEach((run, index) => {
      const chip = element('button', 'tb-chip');
      chip.type = 'button';
      chip.setAttribute('aria-pressed', String(run.isShown));
      chip.title = `${run.name}: ${run.isShown ? 'hide this run' : 'show this run'}`;
      const sample = swatch(colour(index, theme), dashes(index));
      const state = element('span', 'tb-figure');
      state.textContent = run.state;
      const name = element('span', 'tb-chip-name');
      name.textContent = run.name;
      chip.append(sample, name, state);
      chip.addEventListener('click', () => {
        // The store may have a new record of the same run by now.
        const now = this._store.runs.find(known => known.key === run.key);
        if (now) {
          now.isShown = !now.isShown;
          this._later();
        }
      });
      this._chips.append(chip);
    });
  }

  private _updateFoot(shown: readonly RunCurves[]): void {
    const lines = shown.flatMap(run => {
      const prefix = shown.length > 1 ? `${run.name}: ` : '';
      const damaged = run.damaged
        ? `${run.damaged} damaged ${run.damaged === 1 ? 'record was' : 'records were'} skipped.`
        : '';
      return [run.words, damaged].filter(Boolean).map(text => prefix + text);
    });
    lines.push(...missing(shown));
    if (!shown.some(run => run.curves.size)) {
      lines.push(this._store.runs.length ? 'Curves come with the first step.' : 'There are no curves here.');
    }
    const shape = JSON.stringify(lines);
    if (shape !== this._footShape) {
      this._footShape = shape;
      this._foot.replaceChildren(...lines.map(sentence));
    }
    this._foot.hidden = !lines.length;
  }

  private _look: IGridLook = { smoothing: 0.8, log: false, clip: false, range: null, axis: 'step' };
  private _name: PageName = 'curves';
  private _grid: ChartGrid | null = null;
  private _summary: Summary | null = null;
  private _recall: RecallPage | null = null;
  private _confusion: ConfusionPage | null = null;
  private _histograms: HistogramPage | null = null;
  private _frame = 0;
  private _patience = 0;
  private _isSeen = true;
  private _asked = '';
  private _chipShape = '';
  private _footShape = '';
  private _tabs!: HTMLElement;
  private _state!: HTMLElement;
  private _chips!: HTMLElement;
  private _tools!: HTMLElement;
  private _page!: HTMLElement;
  private _foot!: HTMLElement;
  private _about!: HTMLSelectElement;
  private _aboutShape = '';
  private _axis!: HTMLSelectElement;
  private _reset!: HTMLButtonElement;
  private readonly _sight: IntersectionObserver;
  private readonly _forgetStore: () => void;
  private readonly _forgetTheme: () => void;
}

/** So many names of curves are told of each run. */
const MOST_TOLD = 8;

/** Say of which curves only some of several runs have one: beside each other, the others seem to have nothing there. */
function missing(shown: readonly RunCurves[]): string[] {
  const known = shown.filter(run => run.curves.size > 0);
  const none = shown.filter(run => run.curves.size === 0);
  const lines = none.length && shown.length > 1 ? [`Without curves: ${none.map(run => run.name).join(', ')}.`] : [];
  if (known.length < 2) {
    return lines;
  }
  const tags = [...new Set(known.flatMap(run => [...run.curves.keys()]))];
  const groups = new Map<string, string[]>();
  for (const tag of tags) {
    const having = known.filter(run => run.curves.has(tag));
    if (having.length < known.length) {
      const names = having.map(run => run.name).join(', ');
      groups.set(names, [...(groups.get(names) ?? []), tag]);
    }
  }
  for (const [names, only] of groups) {
    const more = only.length > MOST_TOLD ? `, and ${only.length - MOST_TOLD} more` : '';
    lines.push(`Only in ${names}: ${only.slice(0, MOST_TOLD).join(', ')}${more}.`);
  }
  return lines;
}

/** Return a paragraph in which what the curves say stands out. */
function sentence(text: string): HTMLElement {
  const line = element('p');
  const verdict = text.match(/^(.*?)((?:Over|Under)-fitting|Unbalanced)(: .*)$/s);
  if (!verdict) {
    line.textContent = text;
    return line;
  }
  const strong = element('strong', 'tb-verdict');
  strong.textContent = verdict[2];
  line.append(verdict[1], strong, verdict[3]);
  return line;
}
