import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';

import type { IRunDetail } from '../contract';
import { label } from '../form/schema';
import { literal } from '../quantities';
import { trans } from '../translation';

/** The parameters of a run: those that were chosen first, the defaults folded away, and the cell to copy. */
export function Recipe(props: { detail: IRunDetail }): JSX.Element {
  const { recipe, words, differs, cell, parts, versions } = props.detail;
  const chosen = new Set(differs);
  const names = Object.keys(recipe);
  return (
    <div className="jp-Tunebook-Sections">
      <section>
        <h3>
          {trans.__('Chosen')}
          {cell && (
            <button
              type="button"
              className="jp-mod-styled jp-Tunebook-mod-plain"
              onClick={() => Clipboard.copyToSystem(cell)}
            >
              {trans.__('Copy as a parameters cell')}
            </button>
          )}
        </h3>
        {chosen.size > 0 ? (
          <Facts facts={names.filter(name => chosen.has(name)).map(name => [name, words[name], recipe[name]])} />
        ) : (
          <p className="jp-Tunebook-Empty">{trans.__('All parameters have their default values.')}</p>
        )}
      </section>
      <details>
        <summary>{trans.__('Defaults')}</summary>
        <Facts facts={names.filter(name => !chosen.has(name)).map(name => [name, words[name], recipe[name]])} />
      </details>
      {Object.keys(parts).length > 0 && (
        <section>
          <h3>{trans.__('Made from')}</h3>
          <Facts facts={Object.entries(parts)} />
        </section>
      )}
      {Object.keys(versions).length > 0 && (
        <details>
          <summary>{trans.__('Versions')}</summary>
          <Facts facts={Object.entries(versions)} />
        </details>
      )}
    </div>
  );
}

/** Names and values below each other; the value as a cell has it is the tooltip of its words. */
export function Facts(props: { facts: readonly (readonly [name: string, words: string, value?: unknown])[] }): JSX.Element {
  return (
    <dl className="jp-Tunebook-Facts">
      {props.facts.map(([name, words, value]) => (
        <React.Fragment key={name}>
          <dt title={name}>{label(name)}</dt>
          <dd title={value === undefined ? undefined : literal(value)}>{words}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}
