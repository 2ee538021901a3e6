/** The bias report: attribute, metric and split to choose, a plot to look at, and words beside it. */

import { luminance, onThemeChange } from '../chart/palette';
import { saveMenu } from '../chart/saving';
import { BiasHeat } from './bias-heat';
import { IBiasDocument, IChoice, metricWords, Sort } from './bias-model';
import { BiasPlot } from './bias-plot';
import { biasSaved } from './bias-saving';
import { BiasTip } from './bias-tip';
import { BiasWords } from './bias-words';
import { make, setText, whole } from './panel-dom';

/** Tabs and characters in them that fit into a line; beyond that attributes are a list to choose from. */
const [MOST_TABS, MOST_SIGNS] = [7, 110];
/** Groups of an axis beyond which a heat map is no picture any more. */
const MOST_CELLS = 60;
const SORTS: [Sort, string][] = [
  ['value', 'by value'],
  ['listed', 'as listed'],
  ['name', 'by name'],
  ['n', 'by n'],
  ['change', 'by change']
];

let made = 0;

export class BiasReportView {
  private readonly root: HTMLElement;
  private readonly choice: IChoice;
  private isSortChosen = false;
  private readonly id = `tbb-${++made}`;
  private readonly tabs: HTMLElement[] = [];
  private readonly attributes?: HTMLSelectElement;
  private readonly split: HTMLSelectElement;
  private readonly metric: HTMLSelectElement;
  private readonly label: HTMLSelectElement;
  private readonly sort: HTMLSelectElement;
  private readonly shape: HTMLElement;
  private readonly legend = make('div', 'tbb-legend');
  private readonly status = make('div', 'tbb-spoken', { role: 'status' });
  private readonly panel: HTMLElement;
  private readonly tip: BiasTip;
  private readonly plot: BiasPlot;
  private readonly heat: BiasHeat;
  private readonly words: BiasWords;
  private readonly names: string[];
  private readonly endTheme: () => void;
  private readonly sizes = new ResizeObserver(() => this.paint());

  constructor(host: HTMLElement, private readonly report: IBiasDocument, chosen: Record<'attribute' | 'split' | 'metric', number>) {
    this.choice = { ...chosen, sort: 'value', falling: true, isHeat: true };
    this.names = [...new Set(report.metrics.map(metric => metric.name))];
    this.root = make('section', 'tbb', { 'aria-label': 'Bias report', 'data-lm-suppress-shortcuts': 'true' });
    this.tip = new BiasTip(this.root, report);
    this.plot = new BiasPlot(report, this.tip, sort => this.sortBy(sort, true));
    this.heat = new BiasHeat(report, this.tip);
    this.words = new BiasWords(report, metric => this.choose({ metric }));

    const head = make('div', 'tbb-head', {}, make('span', 'tbb-title', { title: report.source }, 'Bias report'));
    const signs = report.attributes.reduce((sum, attribute) => sum + attribute.name.length + 4, 0);
    if (report.attributes.length <= MOST_TABS && signs <= MOST_SIGNS) {
      head.append(this.makeTabs());
    } else {
      this.attributes = select('attribute', report.attributes.map(one => one.name), k => this.choose({ attribute: k }));
      head.append(this.attributes);
    }
    this.split = select('split', report.splits, k => this.choose({ split: k }));
    const metricNames = this.names.map(name => report.metrics.find(metric => metric.name === name)!.words);
    this.metric = select('metric', metricNames, k => this.chooseMetric(this.names[k]));
    this.label = select('class', [], () => this.choose({ metric: Number(this.label.value) }));
    this.sort = select('sort', [], () => this.sortBy(this.sort.value as Sort));
    for (const [sort, text] of SORTS.filter(([sort]) => sort !== 'change' || report.models.length > 1)) {
      this.sort.append(new Option(text, sort));
    }
    head.append(make('span', 'tbb-spring'), make('div', 'tbb-choices', {}, this.split, this.metric, this.label, this.sort));
    head.append(saveMenu(() => biasSaved(report, this.choice), 'bias report'));

    this.shape = this.makeShape();
    this.panel = make('div', 'tbb-left', { role: 'tabpanel', id: `${this.id}-panel` });
    this.panel.append(make('div', 'tbb-top', {}, this.legend, this.shape), this.plot.element, this.heat.element, this.words.known);
    this.root.append(head, make('div', 'tbb-body', {}, this.panel, this.words.element), this.status);
    host.append(this.root);
    this.endTheme = onThemeChange(this.root, () => this.paint());
    // Where it is drawn before it is part of the page, it has no colours yet.
    this.sizes.observe(this.root);
    this.paint();
    this.choose(chosen, false);
  }

  destroy(): void {
    this.endTheme();
    this.sizes.disconnect();
    this.root.remove();
  }

  /** The palette differs on a dark page, whatever made it dark. */
  private paint(): void {
    this.root.dataset.dark = String(luminance(getComputedStyle(this.root).color) > 0.5);
  }

  // What a hand chooses.

  private choose(change: Partial<IChoice>, isSpoken = true): void {
    const before = this.choice.attribute;
    Object.assign(this.choice, change);
    if (!this.isSortChosen || before !== this.choice.attribute) {
      this.sortAsUsual();
    }
    this.draw(isSpoken);
  }

  private chooseMetric(name: string): void {
    const label = this.report.metrics[this.choice.metric].label;
    const places = this.report.metrics.map((_, k) => k).filter(k => this.report.metrics[k].name === name);
    this.choose({ metric: places.find(k => this.report.metrics[k].label === label) ?? places[0] });
  }

  private sortAsUsual(): void {
    if (!this.isSortChosen) {
      const isBinned = this.report.attributes[this.choice.attribute].kind === 'bins';
      Object.assign(this.choice, { sort: isBinned ? 'listed' : 'value', falling: !isBinned });
    }
  }

  /** Sorts; by the same thing again, the other way round. */
  private sortBy(sort: Sort, isTurned = false): void {
    const falls = sort !== 'name' && sort !== 'listed';
    this.choice.falling = isTurned && this.choice.sort === sort ? !this.choice.falling : falls;
    this.choice.sort = sort;
    this.isSortChosen = true;
    this.draw();
  }

  // What is seen.

  private draw(isSpoken = true): void {
    const { report, choice } = this;
    const attribute = report.attributes[choice.attribute];
    const view = attribute.views[choice.split];
    const metric = report.metrics[choice.metric];
    const isCrossed = attribute.axes !== undefined && Math.max(...attribute.axes.map(axis => axis.length)) <= MOST_CELLS;
    const isHeat = isCrossed && choice.isHeat;
    const label = `${metricWords(metric)} by ${attribute.name}, ${report.splits[choice.split]} set`;
    this.tip.hide();
    this.drawHead(choice, isHeat);
    this.shape.hidden = !isCrossed;
    this.shape.querySelectorAll('button').forEach((button, k) => button.setAttribute('aria-pressed', String(isHeat === (k === 0))));
    this.drawLegend(isHeat);
    this.plot.element.hidden = isHeat;
    this.heat.element.hidden = !isHeat;
    if (isHeat) {
      this.heat.draw(choice, label);
    } else {
      this.plot.draw(choice, label);
    }
    this.words.draw(choice);
    if (isSpoken) {
      setText(this.status, `${label}, ${whole(view.groups.length)} groups`);
    }
  }

  private drawHead(choice: IChoice, isHeat: boolean): void {
    const { report } = this;
    this.tabs.forEach((tab, k) => {
      const here = k === choice.attribute;
      tab.setAttribute('aria-selected', String(here));
      tab.tabIndex = here ? 0 : -1;
      if (here) {
        this.panel.setAttribute('aria-labelledby', tab.id);
      }
    });
    if (this.attributes) {
      this.attributes.value = String(choice.attribute);
    }
    const views = report.attributes[choice.attribute].views;
    Array.from(this.split.options).forEach((option, k) => {
      const n = views[k].n.reduce((sum, one) => sum + one, 0);
      setText(option, `${report.splits[k]} set, n ${whole(n)}`);
    });
    this.split.value = String(choice.split);
    const metric = report.metrics[choice.metric];
    this.metric.value = String(this.names.indexOf(metric.name));
    const labelled = report.metrics.map((_, k) => k).filter(k => report.metrics[k].name === metric.name);
    this.label.replaceChildren(...labelled.map(k => new Option(report.metrics[k].label, String(k))));
    this.label.value = String(choice.metric);
    this.label.hidden = labelled.length < 2;
    this.sort.value = choice.sort;
    this.sort.hidden = isHeat;
  }

  private drawLegend(isHeat: boolean): void {
    const { models, metrics, attributes } = this.report;
    const { choice } = this;
    const parts: (Node | string)[] = [make('strong', '', {}, metricWords(metrics[choice.metric]))];
    if (isHeat) {
      parts.push(make('span', 'tbb-key', {}, `of the ${models[models.length - 1]} model`));
    } else {
      parts.push(make('span', 'tbb-key', {}, '95 % interval'));
      models
        .map((name, k) => make('span', 'tbb-key', {}, make('i', k === models.length - 1 ? 'tbb-dot' : 'tbb-dot tbb-base'), name))
        .reverse()
        .forEach(key => parts.push(key));
      const every = attributes[choice.attribute].views[choice.split].every[choice.metric];
      if (every[every.length - 1] >= 0) {
        parts.push(make('span', 'tbb-key', {}, make('i', 'tbb-every'), 'all groups'));
      }
    }
    if (attributes[choice.attribute].is_derived) {
      parts.push(make('span', 'tbb-tag', { title: 'this attribute was worked out, not recorded' }, 'derived'));
    }
    if (attributes[choice.attribute].kind === 'bins') {
      parts.push(make('span', 'tbb-tag', {}, 'binned'));
    }
    this.legend.replaceChildren(...parts);
  }

  private makeTabs(): HTMLElement {
    const list = make('div', 'tbb-tabs', { role: 'tablist', 'aria-label': 'sensitive attribute' });
    this.report.attributes.forEach((attribute, k) => {
      const tab = make('button', 'tbb-tab', { type: 'button', role: 'tab', id: `${this.id}-tab-${k}`, title: attribute.name }, attribute.name);
      tab.setAttribute('aria-controls', `${this.id}-panel`);
      tab.addEventListener('click', () => this.choose({ attribute: k }));
      this.tabs.push(tab);
      list.append(tab);
    });
    list.addEventListener('keydown', event => {
      const last = this.tabs.length - 1;
      const here = this.choice.attribute;
      const to = { ArrowRight: here === last ? 0 : here + 1, ArrowLeft: here ? here - 1 : last, Home: 0, End: last }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        this.choose({ attribute: to });
        this.tabs[to].focus();
      }
    });
    return list;
  }

  private makeShape(): HTMLElement {
    const buttons = [true, false].map(isHeat => {
      const button = make('button', 'tbb-shape', { type: 'button' }, isHeat ? 'Heat map' : 'Dots');
      button.addEventListener('click', () => this.choose({ isHeat }));
      return button;
    });
    return make('div', 'tbb-shapes', { role: 'group', 'aria-label': 'shown as' }, ...buttons);
  }
}

function select(name: string, texts: string[], onChange: (place: number) => void): HTMLSelectElement {
  const made = make('select', 'tbb-select', { 'aria-label': name, title: name });
  made.append(...texts.map((text, k) => new Option(text, String(k))));
  made.addEventListener('change', () => onChange(made.selectedIndex));
  return made;
}
