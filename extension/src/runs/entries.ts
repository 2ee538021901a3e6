import type { IRunRow, ITrial, ITrials, RunState } from '../contract';
import { allColumns, Column, firstColumns } from './columns';
import { isBelow } from './words';

/** How the list is ordered. */
export type Order = 'newest' | 'name' | 'score' | 'gap' | 'state';

/** Which runs are listed. */
export type Filter = 'all' | 'starred' | 'active' | 'finished' | 'below' | 'stopped' | 'sweeps';

/** What the list shows, and how. */
export interface IView {
  readonly order: Order;
  readonly filter: Filter;
  readonly search: string;
  readonly columns: readonly Column[];
}

export const firstView: IView = { order: 'newest', filter: 'all', search: '', columns: firstColumns };

/** Take a view as it was kept, of which a version of another time may have known other things. */
export function keptView(saved: unknown): IView {
  const { order, filter, search, columns } = (saved ?? {}) as Partial<Record<keyof IView, unknown>>;
  return {
    order: orders.includes(order as Order) ? (order as Order) : firstView.order,
    filter: filters.includes(filter as Filter) ? (filter as Filter) : firstView.filter,
    search: typeof search === 'string' ? search : '',
    columns: Array.isArray(columns) ? allColumns.filter(column => columns.includes(column)) : firstColumns
  };
}

const orders: readonly Order[] = ['newest', 'name', 'score', 'gap', 'state'];
const filters: readonly Filter[] = ['all', 'starred', 'active', 'finished', 'below', 'stopped', 'sweeps'];

/** A line of the list: a run, a sweep, or a trial below an unfolded sweep. */
export type Entry =
  | { readonly kind: 'run'; readonly key: string; readonly row: IRunRow }
  | { readonly kind: 'trial'; readonly key: string; readonly row: IRunRow; readonly trial: ITrial; readonly best: boolean };

const liveliness: Record<RunState, number> = {
  running: 0,
  queued: 1,
  failed: 2,
  died: 2,
  unreadable: 2,
  stopped: 3,
  finished: 4
};

/** List what a view shows, in its order. */
export function entries(
  rows: Iterable<IRunRow>,
  trials: ReadonlyMap<string, ITrials>,
  unfolded: ReadonlySet<string>,
  view: IView
): Entry[] {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...rows].filter(row => passes(row, view.filter) && hasAll(row, words));
  found.sort((a, b) => before(a, b, view.order) || newest(a, b) || compare(a.path, b.path));
  const lines: Entry[] = [];
  for (const row of found) {
    lines.push({ kind: 'run', key: row.path, row });
    const inside = unfolded.has(row.path) ? trials.get(row.path) : undefined;
    for (const trial of inside?.trials ?? []) {
      const key = `${row.path}#${trial.number}`;
      lines.push({ kind: 'trial', key, row, trial, best: trial.number === inside?.best });
    }
  }
  return lines;
}

/** The score by which a run is listed. */
export function scoreOf(row: IRunRow): number | null {
  return row.best?.value ?? row.metric;
}

/** Whether a run holds all words; its tags are among its text with a # before them. */
function hasAll(row: IRunRow, words: readonly string[]): boolean {
  if (words.length === 0) {
    return true;
  }
  const whole = text(row);
  return words.every(word => whole.includes(word));
}

function passes(row: IRunRow, filter: Filter): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'active':
      return row.state === 'running' || row.state === 'queued';
    case 'finished':
      return row.state === 'finished';
    case 'starred':
      return row.star;
    case 'below':
      return isBelow(row);
    case 'sweeps':
      return row.kind === 'sweep';
    default:
      return liveliness[row.state] === 2 || row.state === 'stopped';
  }
}

function text(row: IRunRow): string {
  const chosen = Object.entries(row.chosen).map(([name, value]) => `${name} ${value}`);
  const tags = row.tags.map(tag => `#${tag.replace(/\s+/g, '-')} ${tag}`);
  const parts = [row.name, row.folder, row.model, row.data, row.task, row.state, row.message, ...chosen, ...tags, row.note];
  return parts.join(' ').toLowerCase();
}

function before(a: IRunRow, b: IRunRow, order: Order): number {
  switch (order) {
    case 'name':
      return compare(a.name, b.name);
    case 'score':
      // A loss is better when it is smaller; runs without a score come last.
      return number(worth(b)) - number(worth(a)) || 0;
    case 'gap':
      return number(b.gap) - number(a.gap) || 0;
    case 'state':
      return liveliness[a.state] - liveliness[b.state];
    default:
      return 0;
  }
}

function worth(row: IRunRow): number | null {
  const score = scoreOf(row);
  return score !== null && row.best?.name === 'loss' ? -score : score;
}

function number(value: number | null): number {
  return value ?? -1e9;
}

function newest(a: IRunRow, b: IRunRow): number {
  return (b.created || b.started) - (a.created || a.started);
}

const collator = new Intl.Collator(undefined, { numeric: true });

function compare(a: string, b: string): number {
  return collator.compare(a, b);
}
