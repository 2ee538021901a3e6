/** Beside the plot: whom the model is worse for, the gaps, and what a reader must know. */

import { chance, IBiasDocument, IChoice, IGap, signed, written } from './bias-model';
import { make, setText } from './panel-dom';

/** Which gap a metric's figures are about; precision is in none. */
const GAP_OF: Record<string, string> = {
  accuracy: 'accuracy',
  macro_f1: 'macro_f1',
  calibration_error: 'calibration_error',
  selection_rate: 'demographic_parity',
  true_positive_rate: 'equal_opportunity',
  false_positive_rate: 'equalized_odds'
};
const WORSE = 'The model is worse';

export class BiasWords {
  readonly element = make('div', 'tbb-words');
  /** What a reader must know of the data; it stands below the plot. */
  readonly known: HTMLElement;
  private readonly headline = make('p', 'tbb-headline');
  private readonly said = make('p', 'tbb-said');
  private readonly gaps = make('div', 'tbb-scroll');
  private readonly notes = make('ul', 'tbb-notes');

  constructor(private readonly report: IBiasDocument, private readonly onMetric: (metric: number) => void) {
    const summary = make('summary', '', {}, 'What to know of the data');
    this.known = make('details', 'tbb-details', { open: true }, summary, this.notes);
    this.element.append(this.headline, this.said, this.gaps);
  }

  draw(choice: IChoice): void {
    const view = this.report.attributes[choice.attribute].views[choice.split];
    this.drawHeadline(this.report.headline[choice.split]);
    const name = GAP_OF[this.report.metrics[choice.metric].name];
    const said = view.gaps.find(gap => gap.name === name)?.said ?? '';
    setText(this.said, withoutTold(said, this.report.headline[choice.split]));
    this.said.hidden = !this.said.textContent;
    this.drawGaps(view.gaps);
    const { classes, attributes } = this.report.left_out;
    const notes = [
      ...view.remarks,
      ...this.report.remarks[choice.split],
      ...(classes ? [`The rates of ${classes.toLocaleString('en-US')} classes with smaller gaps are in bias.json alone.`] : []),
      ...(attributes ? [`${attributes.toLocaleString('en-US')} more attributes are in bias.html alone.`] : [])
    ];
    this.notes.replaceChildren(...notes.map(note => make('li', '', {}, note)));
    this.known.hidden = !notes.length;
  }

  private drawHeadline(text: string): void {
    const isWorse = text.startsWith(WORSE);
    const end = isWorse ? text.indexOf(': Accuracy is ') : text.indexOf('. ') + 1;
    const [first, rest] = end > 0 ? [text.slice(0, end), text.slice(end + (isWorse ? 1 : 0))] : [text, ''];
    const strong = make('strong', isWorse ? 'tbb-alert' : '', {}, isWorse ? `${first}.` : first);
    this.headline.replaceChildren(strong, rest);
  }

  private drawGaps(gaps: IGap[]): void {
    const { models, positive } = this.report;
    const hasBase = models.length > 1;
    const head = (text: string, name = ''): HTMLElement => make('th', name, { scope: 'col' }, text);
    const heads = [
      head('gap', 'tbb-left'),
      head('lowest to highest', 'tbb-left'),
      ...(hasBase ? [head(models[0], 'tbb-wide')] : []),
      head(models[models.length - 1]),
      ...(hasBase ? [head('change')] : []),
      head('p', 'tbb-p')
    ];
    const body = gaps.map(gap => this.gapRow(gap, hasBase, positive));
    const caption = make('caption', 'tbb-spoken', {}, 'gaps between groups');
    const table = make('table', 'tbb-gaps', {}, caption, make('thead', '', {}, make('tr', '', {}, ...heads)), make('tbody', '', {}, ...body));
    this.gaps.replaceChildren(table);
  }

  private gapRow(gap: IGap, hasBase: boolean, positive: string): HTMLElement {
    const name = make('th', 'tbb-left', { scope: 'row' });
    if (gap.metric >= 0) {
      const metric = this.report.metrics[gap.metric];
      const title = `show ${metric.words}${metric.label ? ` of ${metric.label}` : ''}`;
      const button = make('button', 'tbb-link', { type: 'button', title }, gap.words);
      button.addEventListener('click', () => this.onMetric(gap.metric));
      name.append(button);
    } else {
      name.append(gap.words);
    }
    if (gap.label && gap.label !== positive) {
      name.append(make('span', 'tbb-sub', { title: gap.label }, gap.label));
    }
    if (!gap.difference) {
      const text = 'undefined: no two groups to compare';
      return make('tr', 'tbb-small', {}, name, make('td', 'tbb-left', { colspan: hasBase ? 5 : 3 }, text));
    }
    const [value, low, high] = gap.difference;
    const cells = [make('td', 'tbb-left tbb-pair', { title: `${gap.lowest} to ${gap.highest}` }, pair(gap))];
    if (hasBase) {
      cells.push(make('td', 'tbb-wide', {}, written(gap.before)));
    }
    cells.push(make('td', 'tbb-strong', {}, written(value), sub(`${written(low)} to ${written(high)}`)));
    if (gap.change) {
      const [change, from, to] = gap.change;
      const name = gap.is_changed ? ((change ?? 0) > 0 ? 'tbb-alert' : 'tbb-good') : '';
      cells.push(make('td', name, {}, signed(change), sub(`${signed(from)} to ${signed(to)}`)));
    } else if (hasBase) {
      cells.push(make('td'));
    }
    cells.push(make('td', `tbb-p${gap.clear ? ' tbb-alert' : ''}`, {}, chance(gap.p)));
    return make('tr', '', { title: gap.said }, name, ...cells);
  }
}

/** Takes away what the headline says of the same gap; what tuning made of it stays. */
function withoutTold(said: string, headline: string): string {
  const end = said.search(/\(p [=<] [\d.]+\)\. /);
  const told = end < 0 ? said : said.slice(0, said.indexOf(')', end) + 2);
  return told && headline.includes(told) ? said.slice(told.length).trimStart() : said;
}

function pair(gap: IGap): HTMLElement {
  return make(
    'span',
    '',
    {},
    make('span', 'tbb-one', {}, gap.lowest ?? ''),
    make('span', 'tbb-one', {}, make('span', 'tbb-faint', {}, 'to '), gap.highest ?? '')
  );
}

function sub(text: string): HTMLElement {
  return make('span', 'tbb-sub', {}, text);
}
