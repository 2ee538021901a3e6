import type { IRunRow } from '../contract';
import { label } from '../form/schema';
import { age, duration, moment, score, scores } from '../quantities';
import { trans } from '../translation';
import { isBelow } from './words';

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
const BESIDE_STATE: readonly Column[] = ['baseline', 'gap', 'age', 'took'];

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
    .map(column => textOf(row, column, new Set()))
    .filter(Boolean);
}

/** What stands on a run's own line. */
export function ownLine(row: IRunRow, columns: ReadonlySet<Column>, alike: ReadonlySet<string>): string[] {
  return allColumns
    .filter(column => columns.has(column) && column !== 'tags' && !BESIDE_STATE.includes(column))
    .map(column => textOf(row, column, alike))
    .filter(Boolean);
}

function textOf(row: IRunRow, column: Column, alike: ReadonlySet<string>): string {
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
      return lastParts(row.data);
    case 'model':
      return lastParts(row.model);
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

/** The baseline, on the same examples as the score beside which it stands. */
function baselineText(row: IRunRow): string {
  if (row.baseline === null) {
    return '';
  }
  if (row.metric === null) {
    return trans.__('baseline %1', score(row.baseline));
  }
  const [before, after] = scores(row.baseline, row.metric);
  // A row that is below says both figures in its state.
  return isBelow(row) ? '' : trans.__('test %1, baseline %2', after, before);
}

/** The end of a path, which tells more than its beginning. */
function lastParts(path: string): string {
  const parts = path.split('/').filter(Boolean);
  return parts.length > 2 ? `…/${parts.slice(-2).join('/')}` : path;
}

/** Parameters that have the same value in all runs, which thus tell none of them apart. */
export function alikeIn(rows: readonly IRunRow[]): ReadonlySet<string> {
  const runs = rows.filter(row => Object.keys(row.chosen).length > 0 || row.model !== '');
  if (runs.length < 2) {
    return new Set();
  }
  const names = new Set(runs.flatMap(row => Object.keys(row.chosen)));
  return new Set([...names].filter(name => runs.every(row => row.chosen[name] === runs[0].chosen[name])));
}

/** A line for a tooltip: when a run began and ended. */
export function times(row: IRunRow): string {
  const began = row.started || row.created;
  return [began > 1 ? trans.__('begun %1', moment(began)) : '', row.finished > 1 ? trans.__('ended %1', moment(row.finished)) : '']
    .filter(Boolean)
    .join(', ');
}
