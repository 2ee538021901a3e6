import { JSONExt } from '@lumino/coreutils';

import type { IData } from '../contract';
import type { Values } from './schema';

/** What kind of data a form is about; unknown is also what cannot be looked at, such as a data set of the hub. */
export type DataKind = 'demo' | IData['kind'];

/** Parameters that name a column of a table; those of one column, and the one of several. */
export const COLUMN_NAMES: readonly string[] = ['label', 'text', 'path'];
export const COLUMNS_NAME = 'sensitive';

const OF_TABLES = new Set([...COLUMN_NAMES, COLUMNS_NAME, 'multi_label']);
/** They treat groups, which there are only where a column tells them. */
const OF_GROUPS = new Set(['mitigate', 'mitigate_by', 'remedy', 'remedy_gap', 'remedy_by']);

/** Whether a parameter means anything for the data; one that was set is shown whatever the data is. */
export function applies(name: string, kind: DataKind, values: Values, defaults: Values): boolean {
  if (name in defaults && !JSONExt.deepEqual(values[name] ?? null, defaults[name] ?? null)) {
    return true;
  }
  const sensitive = values[COLUMNS_NAME];
  if (OF_GROUPS.has(name)) {
    return kind === 'demo' || kind === 'unknown' || (Array.isArray(sensitive) && sensitive.length > 0);
  }
  if (kind === 'pictures') {
    return !OF_TABLES.has(name);
  }
  // The demo knows its own columns; of its groups one can choose.
  return kind !== 'demo' || name === COLUMNS_NAME || !OF_TABLES.has(name);
}
