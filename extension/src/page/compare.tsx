import * as React from 'react';

import type { IComparison, IRunRow } from '../contract';
import { label } from '../form/schema';
import { literal, score } from '../quantities';
import { standing } from '../runs/words';
import { trans } from '../translation';
import { scoreName } from './results';

/** What differs between runs: their results, and what was chosen for them. */
export function Comparison(props: { comparison: IComparison; open: (path: string) => void }): JSX.Element {
  const { runs, results, differences, same, comparable, left_out: leftOut } = props.comparison;
  const nameOf = (path: string): string => runs.find(run => run.path === path)?.name ?? path;
  const shown = results.filter(result => result.values.some(value => value !== null));
  return (
    <div className="jp-Tunebook-Sections">
      {leftOut.length > 0 && (
        <section className="jp-Tunebook-LeftOut">
          <h3>{trans.__('Not compared')}</h3>
          <ul>
            {leftOut.map((line, place) => (
              <li key={place}>
                <strong>{line.what}</strong> {trans.__('of %1: %2', line.runs.map(nameOf).join(', '), line.why)}
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>{trans.__('Results')}</h3>
        <Table runs={runs} open={props.open}>
          <Line name={trans.__('state')} values={runs.map(standing)} />
          {shown.map(result => (
            <Line
              key={`${result.name}/${result.split}`}
              name={`${scoreName(result.name)}, ${result.split}`}
              values={result.values.map(value => score(value, 3))}
              best={comparable ? bestOf(result.name, result.values) : undefined}
            />
          ))}
        </Table>
      </section>
      <section>
        <h3>{trans.__('What differs')}</h3>
        {differences.length > 0 ? (
          <Table runs={runs} open={props.open}>
            {differences.map(difference => (
              <Line
                key={difference.name}
                name={label(difference.name)}
                title={difference.group}
                values={difference.words.map(words => words || '–')}
                literals={difference.values.map(literal)}
              />
            ))}
          </Table>
        ) : (
          <p className="jp-Tunebook-Empty">{trans.__('Nothing: their recipes are the same.')}</p>
        )}
        <p className="jp-Tunebook-Empty">
          {trans._n('One parameter is the same in all.', '%1 parameters are the same in all.', same, same)}
        </p>
      </section>
    </div>
  );
}

function Table(props: {
  runs: readonly IRunRow[];
  open: (path: string) => void;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <div className="jp-Tunebook-TableHost">
      <table className="jp-Tunebook-Table jp-Tunebook-mod-compare">
        <thead>
          <tr>
            <td />
            {props.runs.map(run => (
              <th key={run.path} scope="col">
                <button
                  type="button"
                  className="jp-Tunebook-Link"
                  title={run.path}
                  onClick={() => props.open(run.path)}
                >
                  {run.name}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}

function Line(props: {
  name: string;
  title?: string;
  values: readonly string[];
  best?: number;
  /** The values as a notebook's cell has them. */
  literals?: readonly string[];
}): JSX.Element {
  return (
    <tr>
      <th scope="row" title={props.title}>
        {props.name}
      </th>
      {props.values.map((value, place) => (
        <td
          key={place}
          className={place === props.best ? 'jp-Tunebook-mod-best' : ''}
          title={props.literals?.[place]}
        >
          {value}
        </td>
      ))}
    </tr>
  );
}

/** The place of the best value; undefined where there is none to choose. */
function bestOf(name: string, values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2 || new Set(known).size < 2 || name === 'n') {
    return undefined;
  }
  const isSmallBest = /loss|ece|error|gap/.test(name);
  return values.indexOf(isSmallBest ? Math.min(...known) : Math.max(...known));
}
