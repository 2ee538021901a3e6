import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IAgain, IRunRow } from '../contract';
import { literal } from '../quantities';
import { trans } from '../translation';
import { changed, label, Values } from './schema';
import { ISearch, noSearch } from './search';

/** A run whose values a form began with. */
export interface IOrigin {
  readonly path: string;
  readonly name: string;
  readonly values: Values;
  readonly leftOut: readonly string[];
}

/** What the form's command is given to run a run again. */
export function againForm(row: IRunRow, again: IAgain): ReadonlyPartialJSONObject {
  const { template, notebook, name, folder, values, left_out, sweep } = again;
  const origin: IOrigin = { path: row.path, name: row.name, values, leftOut: left_out };
  return {
    template,
    notebook,
    notebookName: name,
    cwd: folder,
    title: trans.__('%1 again', row.name),
    values,
    origin,
    search: sweep ? searchOf(sweep) : null
  } as unknown as ReadonlyPartialJSONObject;
}

/** A search as the form has it. */
function searchOf(sweep: NonNullable<IAgain['sweep']>): ISearch {
  return {
    spaces: Object.entries(sweep.space).map(([name, space]) => ({ name, space })),
    trials: sweep.trials === null ? noSearch.trials : String(sweep.trials),
    method: sweep.method,
    objective: sweep.objectives.join(', ') || noSearch.objective
  };
}

/** What a person changed since the form was filled with a run's values, a line each. */
export function changesSince(origin: IOrigin, values: Values): string[] {
  const lines = Object.entries(changed(values, origin.values))
    .filter(([name]) => name !== 'run' && name !== 'resume')
    // What the run did not know yet and is at its default was no choice of anybody.
    .filter(([name]) => name in origin.values)
    .map(([name, value]) => trans.__('%1: %2 → %3', label(name), literal(origin.values[name]), literal(value)));
  return lines;
}
