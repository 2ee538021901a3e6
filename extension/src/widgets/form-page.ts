/** A page of fields: each with its control, a way back to its default, and its help in full. */

import { make } from './panel-dom';
import { follow, IPanelModel } from './panel-model';
import { FieldRow, IFieldRow, IFieldSpec } from './form-row';

interface IFormState {
  rows: Record<string, IFieldRow>;
  curve: string;
  sites: [string, string, number][];
}

export class FormPage {
  readonly end: () => void;
  private readonly rows: Map<string, FieldRow>;
  private readonly above = make('div', 'tunebook-curve');
  private readonly below = make('div', 'tunebook-sites');
  private curve = '';
  private sites = '';

  constructor(
    private readonly model: IPanelModel,
    host: HTMLElement,
    private readonly page: string
  ) {
    const specs = (model.get('columns') as Record<string, IFieldSpec[]>)[page];
    this.rows = new Map(specs.map(spec => [spec.name, new FieldRow(spec, message => model.send(message))]));
    const form = make('div', 'tunebook-form', { role: 'group', 'aria-label': page });
    form.append(this.above, ...[...this.rows.values()].map(row => row.element), this.below);
    host.append(form);
    this.end = follow(
      model,
      () => this.draw(),
      message => this.hear(message)
    );
    this.draw();
  }

  private get state(): IFormState {
    return this.model.get('state') as IFormState;
  }

  private draw(): void {
    const { rows, curve, sites } = this.state;
    for (const [name, row] of this.rows) {
      row.show(rows[name]);
    }
    if (this.page === 'Schedule') {
      this.drawCurve(curve);
    } else {
      this.drawSites(sites);
    }
  }

  /** What was refused is told beside the field, which shows what is in force again. */
  private hear(message: Record<string, unknown>): void {
    const row = this.rows.get(String(message.of));
    if (row && typeof message.refused === 'string') {
      row.refuse(message.refused);
      if (message.refused) {
        row.show(this.state.rows[String(message.of)], true);
      }
    }
  }

  private drawCurve(curve: string): void {
    if (curve !== this.curve) {
      this.curve = curve;
      const drawn = new DOMParser().parseFromString(curve, 'image/svg+xml').documentElement;
      this.above.replaceChildren(document.importNode(drawn, true));
    }
  }

  private drawSites(sites: [string, string, number][]): void {
    const shape = JSON.stringify(sites);
    if (shape === this.sites) {
      return;
    }
    this.sites = shape;
    if (!sites.length) {
      this.below.replaceChildren('This model has no place for dropout.');
      return;
    }
    const isOpen = this.below.querySelector('details')?.open ?? false;
    const head = ['place', 'kind', 'rate', ''].map(word => make('th', '', { scope: 'col' }, word));
    const lines = sites.map(([place, kind, rate]) => {
      const bar = make('span', 'tunebook-bar', { 'aria-hidden': 'true' }, make('span'));
      (bar.firstElementChild as HTMLElement).style.width = `${100 * Math.min(rate, 1)}%`;
      return make(
        'tr',
        '',
        {},
        make('td', '', {}, place || 'before the head'),
        make('td', '', {}, kind),
        make('td', 'tunebook-number', {}, String(Number(rate.toPrecision(3)))),
        make('td', '', {}, bar)
      );
    });
    const table = make('table', '', {}, make('thead', '', {}, make('tr', '', {}, ...head)), make('tbody', '', {}, ...lines));
    const words = `${sites.length} place${sites.length === 1 ? '' : 's'} that drop${sites.length === 1 ? 's' : ''}`;
    this.below.replaceChildren(make('details', '', { open: isOpen }, make('summary', '', {}, words), table));
  }
}
