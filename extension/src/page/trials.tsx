import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';

import type { ITrials } from '../contract';
import { duration, score } from '../quantities';
import { brief } from '../runs/rows';
import { trans } from '../translation';

const MOST = 300;

/** The trials of a sweep, best first. */
export function Trials(props: { trials: ITrials }): JSX.Element {
  const { trials } = props;
  const order = [...trials.trials].sort((a, b) => worth(b.values[0]) - worth(a.values[0]) || a.number - b.number);
  return (
    <section>
      <h3>
        {trans._n('One trial', '%1 trials', order.length, order.length)}
        {trials.cell && (
          <button
            type="button"
            className="jp-mod-styled jp-Tunebook-mod-plain"
            onClick={() => Clipboard.copyToSystem(trials.cell)}
          >
            {trans.__('Copy the best as a parameters cell')}
          </button>
        )}
      </h3>
      <div className="jp-Tunebook-TableHost">
        <table className="jp-Tunebook-Table">
          <thead>
            <tr>
              <th scope="col">{trans.__('trial')}</th>
              <th scope="col">{trans.__('state')}</th>
              {trials.objectives.map(name => (
                <th key={name} scope="col" className="jp-Tunebook-mod-number">
                  {name}
                </th>
              ))}
              {trials.parameters.map(name => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
              <th scope="col" className="jp-Tunebook-mod-number">
                {trans.__('time')}
              </th>
            </tr>
          </thead>
          <tbody>
            {order.slice(0, MOST).map(trial => (
              <tr key={trial.number} className={trial.number === trials.best ? 'jp-Tunebook-mod-best' : ''}>
                <th scope="row">{trial.number}</th>
                <td title={trial.message}>{trial.message ? `${trial.state}: ${trial.message}` : trial.state}</td>
                {trials.objectives.map((name, place) => (
                  <td key={name} className="jp-Tunebook-mod-number">
                    {score(trial.values[place], 4)}
                  </td>
                ))}
                {trials.parameters.map(name => (
                  <td key={name} title={trial.parameters[name]}>
                    {brief(trial.parameters[name] ?? '–')}
                  </td>
                ))}
                <td className="jp-Tunebook-mod-number">{trial.seconds === null ? '–' : duration(trial.seconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {order.length > MOST && (
        <p className="jp-Tunebook-Empty">{trans.__('The best %1 are shown; trials.csv has all of them.', MOST)}</p>
      )}
    </section>
  );
}

function worth(value: number | null | undefined): number {
  return value ?? -Infinity;
}
