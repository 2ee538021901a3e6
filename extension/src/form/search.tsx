import * as React from 'react';

import type { INewSweep } from '../contract';
import { trans } from '../translation';
import { alternatives, IRecipeSchema, label } from './schema';

/** A search as it stands in the form: texts, checked by the server. */
export interface ISearch {
  readonly spaces: readonly { readonly name: string; readonly space: string }[];
  readonly trials: string;
  readonly method: 'bayesian' | 'random' | 'grid';
  readonly objective: string;
}

export const noSearch: ISearch = { spaces: [], trials: '30', method: 'bayesian', objective: 'macro_f1' };

/** What the server is asked for; undefined where nothing is searched. */
export function sweepOf(search: ISearch): INewSweep | undefined {
  const filled = search.spaces.filter(entry => entry.space.trim() !== '');
  if (filled.length === 0) {
    return undefined;
  }
  const trials = Number(search.trials);
  return {
    space: Object.fromEntries(filled.map(entry => [entry.name, entry.space.trim()])),
    trials: Number.isInteger(trials) && trials > 0 ? trials : null,
    method: search.method,
    objectives: search.objective.split(',').map(part => part.trim())
  };
}

/** Parameters that can be searched, and a space to begin with. */
function startOf(schema: IRecipeSchema, name: string): string {
  const way = alternatives(schema.properties[name])[0];
  if (name === 'lr') {
    return 'log(1e-4,1e-2)';
  }
  return way.kind === 'choice' ? way.choices.join(',') : way.kind === 'number' ? '0..0.5' : '';
}

/** Several trials in place of one run: what is searched, how often, and what for. */
export function SearchSection(props: {
  schema: IRecipeSchema;
  search: ISearch;
  onChange: (search: ISearch) => void;
}): JSX.Element {
  const { schema, search, onChange } = props;
  const used = new Set(search.spaces.map(entry => entry.name));
  const names = Object.keys(schema.properties).filter(
    name => schema.properties[name].group !== 'Run' && schema.properties[name].group !== 'Data'
  );
  const free = names.filter(name => !used.has(name));
  const put = (row: number, change: Partial<{ name: string; space: string }>): void =>
    onChange({ ...search, spaces: search.spaces.map((entry, i) => (i === row ? { ...entry, ...change } : entry)) });
  const add = (): void => {
    const name = free.includes('lr') ? 'lr' : free[0];
    onChange({ ...search, spaces: [...search.spaces, { name, space: startOf(schema, name) }] });
  };
  return (
    <details className="jp-Tunebook-Group jp-Tunebook-Search" open={search.spaces.length > 0 || undefined}>
      <summary>{trans.__('Search over parameters')}</summary>
      <p className="jp-Tunebook-Row-help">
        {trans.__('Trials in place of one run. A space is a range (0..0.5), log(1e-5,1e-1), or choices (8,16,32).')}
      </p>
      {search.spaces.map((entry, row) => (
        <div className="jp-Tunebook-Row jp-Tunebook-Space" key={entry.name}>
          <div className="jp-select-wrapper jp-Tunebook-Select">
            <select
              className="jp-mod-styled"
              aria-label={trans.__('Parameter to search')}
              value={entry.name}
              onChange={event => put(row, { name: event.target.value, space: startOf(schema, event.target.value) })}
            >
              {[entry.name, ...free].map(name => (
                <option key={name} value={name}>
                  {label(name)}
                </option>
              ))}
            </select>
          </div>
          <input
            className="jp-mod-styled jp-Tunebook-Input"
            type="text"
            spellCheck={false}
            aria-label={trans.__('Space of %1', label(entry.name))}
            placeholder="log(1e-5,1e-1)"
            value={entry.space}
            onChange={event => put(row, { space: event.target.value })}
          />
          <button
            type="button"
            className="jp-mod-styled jp-mod-minimal"
            aria-label={trans.__('Do not search %1', label(entry.name))}
            onClick={() => onChange({ ...search, spaces: search.spaces.filter((_, i) => i !== row) })}
          >
            ×
          </button>
        </div>
      ))}
      <button type="button" className="jp-mod-styled" disabled={free.length === 0} onClick={add}>
        {trans.__('+ parameter')}
      </button>
      {search.spaces.length > 0 && (
        <div className="jp-Tunebook-Search-how">
          <label>
            {trans.__('Trials')}
            <input
              className="jp-mod-styled jp-Tunebook-Input jp-Tunebook-mod-number"
              inputMode="numeric"
              value={search.trials}
              onChange={event => onChange({ ...search, trials: event.target.value })}
            />
          </label>
          <label>
            {trans.__('Method')}
            <div className="jp-select-wrapper jp-Tunebook-Select">
              <select
                className="jp-mod-styled"
                value={search.method}
                onChange={event => onChange({ ...search, method: event.target.value as ISearch['method'] })}
              >
                <option value="bayesian">{trans.__('Bayesian')}</option>
                <option value="random">{trans.__('random')}</option>
                <option value="grid">{trans.__('grid')}</option>
              </select>
            </div>
          </label>
          <label>
            {trans.__('Best by')}
            <input
              className="jp-mod-styled jp-Tunebook-Input"
              spellCheck={false}
              value={search.objective}
              onChange={event => onChange({ ...search, objective: event.target.value })}
            />
          </label>
        </div>
      )}
    </details>
  );
}
