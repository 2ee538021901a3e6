import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';

import type { ITrial, ITrials } from '../contract';
import { duration, score } from '../quantities';
import { brief } from '../runs/rows';
import { trans } from '../translation';

const MOST = 300;

/** The trials of a sweep, best first. */
export function Trials(props: { trials: ITrials }): JSX.Element {
  const { trials } = props;
  const sign = /^(loss|gap|ece|calibration_error)/.test(trials.objectives[0] ?? '') ? -1 : 1;
  const worth = (trial: ITrial): number => (isWhole(trial) ? sign * (trial.values[0] ?? -Infinity * sign) : -Infinity);
  // What was given up half-way has no value that can be compared: it comes last.
  const order = [...trials.trials].sort((a, b) => descending(worth(a), worth(b)) || a.number - b.number);
  return (
    <section>
      <h3>
        {trans._n('One trial', '%1 trials', order.length)}
        {halves(order)}
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
              <tr key={trial.number} className={
                  trial.number === trials.best ? 'jp-Tunebook-mod-best' : isWhole(trial) ? '' : 'jp-Tunebook-mod-half'
                }>
                <th scope="row">{trial.number}</th>
                <td title={trial.message}>{trial.message ? `${trial.state}: ${trial.message}` : trial.state}</td>
                {trials.objectives.map((name, place) => (
                  <td key={name} className="jp-Tunebook-mod-number">
                    {isWhole(trial) || typeof trial.values[place] !== 'number'
                      ? score(trial.values[place], 4)
                      : trans.__('(%1)', score(trial.values[place], 4))}
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

function isWhole(trial: ITrial): boolean {
  return trial.state === 'complete';
}

function descending(a: number, b: number): number {
  return a === b ? 0 : b > a ? 1 : -1;
}

/** Count the trials that have no value to compare; empty where there are none. */
function halves(trials: readonly ITrial[]): string {
  const states = [...new Set(trials.filter(trial => !isWhole(trial)).map(trial => trial.state))];
  const counts = states.map(state => `${trials.filter(trial => trial.state === state).length} ${state}`);
  return counts.length ? trans.__(' (not compared: %1)', counts.join(', ')) : '';
}
