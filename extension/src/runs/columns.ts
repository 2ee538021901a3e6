import type { IRunRow } from '../contract';
import { label } from '../form/schema';
import { age, duration, moment, score, scores } from '../quantities';
import { trans } from '../translation';

/** What a row can show beside the name, the state and the score. */
export type Column = 'baseline' | 'gap' | 'data' | 'model' | 'differs' | 'age' | 'tags' | 'note' | 'task' | 'took' | 'folder';

/** All of them, in the order in which they stand. */
export const allColumns: readonly Column[] = [
  'baseline',
  'gap',
  'age',
  'took',
  'data',
  'model',
  'differs',
  'task',
  'folder',
  'tags',
  'note'
];

/** Those that are shown until somebody chooses. */
export const firstColumns: readonly Column[] = ['baseline', 'gap', 'age', 'data', 'model', 'differs', 'tags'];

/** Columns that stand behind the state; the others have a line of their own. */
const BESIDE_STATE: readonly Column[] = ['baseline', 'age', 'gap', 'took'];

/** Name a column. */
export function columnName(column: Column): string {
  const names: Record<Column, string> = {
    baseline: trans.__('Baseline'),
    gap: trans.__('Gap between groups'),
    data: trans.__('Data'),
    model: trans.__('Model'),
    differs: trans.__('Parameters that differ'),
    age: trans.__('Age'),
    tags: trans.__('Tags'),
    note: trans.__('Note'),
    task: trans.__('Task'),
    took: trans.__('Duration'),
    folder: trans.__('Folder')
  };
  return names[column];
}

/** Whether rows need a third line for the columns that are chosen. */
export function isTall(columns: ReadonlySet<Column>): boolean {
  return [...columns].some(column => !BESIDE_STATE.includes(column));
}

/** What stands behind a run's state. */
export function besideState(row: IRunRow, columns: ReadonlySet<Column>): string[] {
  return BESIDE_STATE.filter(column => columns.has(column))
    .map(column => textOf(row, column, noLikeness))
    .filter(Boolean);
}

/** In what the runs that are listed are like each other. */
export interface ILikeness {
  /** Parameters, model and data among them, that are the same in all runs that are listed. */
  readonly alike: ReadonlySet<string>;
  /** Data to the end of its path that tells it from the others'. */
  readonly data: ReadonlyMap<string, string>;
}

/** What stands on a run's own line: what tells it from the other runs comes first. */
export function ownLine(row: IRunRow, columns: ReadonlySet<Column>, likeness: ILikeness): string[] {
  const shown = allColumns.filter(column => columns.has(column) && column !== 'tags' && !BESIDE_STATE.includes(column));
  const rank = (column: Column): number => (column === 'differs' ? 0 : likeness.alike.has(column) ? 2 : 1);
  return shown
    .sort((a, b) => rank(a) - rank(b))
    .map(column => textOf(row, column, likeness))
    .filter(Boolean);
}

/** Nothing is like anything else. */
export const noLikeness: ILikeness = { alike: new Set(), data: new Map() };

function textOf(row: IRunRow, column: Column, { alike, data }: ILikeness): string {
  switch (column) {
    case 'baseline':
      return baselineText(row);
    case 'gap':
      return row.gap === null ? '' : trans.__('gap %1', score(row.gap));
    case 'age':
      return age(row.finished || row.heartbeat || row.started || row.created);
    case 'took':
      return row.started > 0 && row.finished > row.started ? duration(row.finished - row.started) : '';
    case 'data':
      return data.get(row.data) ?? row.data;
    case 'model':
      return row.model.split('/').pop() ?? row.model;
    case 'differs':
      return Object.entries(row.chosen)
        .filter(([name]) => !alike.has(name))
        .map(([name, value]) => `${name} ${value}`)
        .join(', ');
    case 'note':
      return row.note.split('\n')[0];
    case 'task':
      return label(row.task.replace(/-/g, ' '));
    case 'folder':
      return row.folder;
    default:
      return '';
  }
}

/** The baseline, and what became of it on the same examples, those of the test. */
function baselineText(row: IRunRow): string {
  if (row.baseline === null) {
    return '';
  }
  return row.metric === null ? trans.__('baseline %1', score(row.baseline)) : scores(row.baseline, row.metric).join(' → ');
}

/** The ends of paths: the last name, or as many as tell one from the others. */
function ends(paths: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  const known = [...new Set(paths)];
  for (const path of known) {
    const parts = path.split('/').filter(Boolean);
    let count = 1;
    const end = (of: string): string => of.split('/').filter(Boolean).slice(-count).join('/');
    while (count < parts.length && known.some(other => other !== path && end(other) === end(path))) {
      count += 1;
    }
    found.set(path, count < parts.length ? `…/${end(path)}` : path);
  }
  return found;
}

/** Find in what runs are like each other, which thus tells none of them apart. */
export function likenessOf(rows: readonly IRunRow[]): ILikeness {
  const runs = rows.filter(row => Object.keys(row.chosen).length > 0 || row.model !== '');
  const data = ends(runs.map(row => row.data));
  if (runs.length < 2) {
    return { alike: new Set(), data };
  }
  const names = new Set(runs.flatMap(row => Object.keys(row.chosen)));
  const alike = new Set([...names].filter(name => runs.every(row => row.chosen[name] === runs[0].chosen[name])));
  for (const name of ['model', 'data'] as const) {
    if (runs.every(row => row[name] === runs[0][name])) {
      alike.add(name);
    }
  }
  return { alike, data };
}

/** A line for a tooltip: when a run began and ended. */
export function times(row: IRunRow): string {
  const began = row.started || row.created;
  return [began > 1 ? trans.__('begun %1', moment(began)) : '', row.finished > 1 ? trans.__('ended %1', moment(row.finished)) : '']
    .filter(Boolean)
    .join(', ');
}
