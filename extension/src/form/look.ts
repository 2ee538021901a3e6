import * as React from 'react';

import type { IData } from '../contract';
import { oneLine } from '../server';
import { trans } from '../translation';
import { COLUMN_NAMES, COLUMNS_NAME, DataKind } from './applies';
import type { Values } from './schema';

/** Wait in ms after a key before the server is asked what the data is. */
const LOOK_AFTER = 400;
/** So many columns are told at most: with more, a name may be one that was not told. */
const MOST_COLUMNS = 200;

/** What is known of the data that a form names. */
export interface ILook {
  readonly kind: DataKind;
  /** The table; undefined where the data is none. */
  readonly table?: IData;
  /** A line on it, or on why it cannot be looked at. */
  readonly said: string;
}

const nothing: ILook = { kind: 'unknown', said: '' };

/** Look at the data that a form names, and again when it names other data. */
export function useLook(data: unknown, look: (data: string) => Promise<IData | undefined>): ILook {
  const [found, setFound] = React.useState<ILook>(nothing);
  React.useEffect(() => {
    if (typeof data !== 'string' || data === 'demo') {
      setFound(data === 'demo' ? { kind: 'demo', said: '' } : nothing);
      return undefined;
    }
    let current = true;
    const timer = window.setTimeout(() => {
      look(data).then(
        seen => current && setFound(seen ? told(seen) : nothing),
        error => current && setFound({ kind: 'unknown', said: trans.__('its columns are not known: %1', oneLine(error)) })
      );
    }, LOOK_AFTER);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [data]);
  return found;
}

function told(seen: IData): ILook {
  return { kind: seen.kind, table: seen.kind === 'table' ? seen : undefined, said: seen.summary };
}

/** Columns that follow from a table: those that are clear, where what is set is no column of it. */
export function settled(look: ILook, values: Values, names: ReadonlySet<string>): Values {
  const { table } = look;
  const wanted = COLUMN_NAMES.filter(name => names.has(name) && table?.choices[name]?.column);
  return Object.fromEntries(
    wanted
      .filter(name => !table?.columns.includes(String(values[name])))
      .map(name => [name, table?.choices[name].column ?? ''])
  );
}

/** What a person still has to say of a table, by parameter: a column that is not clear is asked for. */
export function unsettled(look: ILook, values: Values, names: ReadonlySet<string>): { readonly [name: string]: string } {
  const { table } = look;
  if (!table || table.columns.length >= MOST_COLUMNS) {
    return {};
  }
  const asked = COLUMN_NAMES.filter(name => names.has(name) && !table.columns.includes(String(values[name])));
  const found = asked.map(name => [name, question(name, table.choices[name]?.why ?? '')]);
  const sensitive = values[COLUMNS_NAME];
  const unknown = Array.isArray(sensitive) ? sensitive.find(name => !table.columns.includes(String(name))) : undefined;
  if (unknown !== undefined) {
    found.push([COLUMNS_NAME, trans.__('the table has no column “%1”', unknown)]);
  }
  return Object.fromEntries(found) as { [name: string]: string };
}

function question(name: string, why: string): string {
  const asks: Record<string, string> = {
    label: trans.__('Choose the column with the class'),
    text: trans.__('Choose the column with the text'),
    path: trans.__("Choose the column with the picture's path")
  };
  return why ? `${asks[name]}: ${why}` : asks[name];
}
