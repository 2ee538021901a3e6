import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { score } from '../quantities';
import { trans } from '../translation';
import { Entry, scoreOf } from './entries';
import { Sparkline } from './sparkline';
import { spoken, standing, stateWord } from './words';

/** Height of a line of the list in CSS pixels: virtual rows need one that is known. */
export const ROW_HEIGHT = 48;

export interface IRowProps {
  readonly entry: Entry;
  readonly id: string;
  readonly place: number;
  readonly isActive: boolean;
  readonly isSelected: boolean;
  readonly isUnfolded: boolean;
  readonly onFold: () => void;
  readonly onPick: (event: React.MouseEvent) => void;
  readonly onOpen: () => void;
}

/** A line of the list. */
export const Row = React.memo(function Row(props: IRowProps): JSX.Element {
  const { entry } = props;
  const isRun = entry.kind === 'run';
  const classes = ['jp-Tunebook-Run', isRun ? '' : 'jp-Tunebook-mod-trial', props.isActive ? 'jp-Tunebook-mod-active' : ''];
  return (
    <div
      id={props.id}
      className={[...classes, props.isSelected ? 'jp-Tunebook-mod-selected' : ''].filter(Boolean).join(' ')}
      style={{ height: ROW_HEIGHT, transform: `translateY(${props.place * ROW_HEIGHT}px)` }}
      role="treeitem"
      aria-level={isRun ? 1 : 2}
      aria-selected={props.isSelected}
      aria-expanded={isRun && entry.row.kind === 'sweep' ? props.isUnfolded : undefined}
      aria-label={isRun ? spoken(entry.row) : trialWords(entry)}
      title={isRun ? spoken(entry.row) : trialWords(entry)}
      data-path={entry.row.path}
      data-state={isRun ? entry.row.state : entry.trial.state}
      onMouseDown={props.onPick}
      onDoubleClick={props.onOpen}
    >
      {isRun ? <RunLine {...props} /> : <TrialLine entry={entry} />}
    </div>
  );
});

function RunLine(props: IRowProps): JSX.Element {
  const { row } = props.entry;
  const isLive = row.state === 'running';
  return (
    <>
      <span className="jp-Tunebook-Run-mark">
        {row.kind === 'sweep' ? (
          <span
            className="jp-Tunebook-Run-fold"
            onMouseDown={event => event.stopPropagation()}
            onClick={event => {
              event.stopPropagation();
              props.onFold();
            }}
          >
            {props.isUnfolded ? <caretDownIcon.react tag="span" /> : <caretRightIcon.react tag="span" />}
          </span>
        ) : null}
        <span className={`jp-Tunebook-Dot jp-Tunebook-state-${row.paused ? 'paused' : row.state}`} title={stateWord(row)} />
      </span>
      <span className="jp-Tunebook-Run-name">{row.name}</span>
      <span className="jp-Tunebook-Run-score">{score(scoreOf(row))}</span>
      <span className="jp-Tunebook-Run-standing">
        {row.gap === null ? standing(row) : trans.__('%1 · gap %2', standing(row), score(row.gap))}
      </span>
      <Sparkline values={row.sparkline} />
      {isLive && (
        <span className="jp-Tunebook-Run-progress">
          <span style={{ width: `${100 * (row.progress ?? 0)}%` }} />
        </span>
      )}
    </>
  );
}

function TrialLine(props: { entry: Entry }): JSX.Element | null {
  const { entry } = props;
  if (entry.kind !== 'trial') {
    return null;
  }
  const { trial } = entry;
  return (
    <>
      <span className="jp-Tunebook-Run-mark">
        <span className={`jp-Tunebook-Dot jp-Tunebook-state-${trial.state}`} />
      </span>
      <span className="jp-Tunebook-Run-name">
        {trans.__('trial %1', trial.number)}
        {entry.best && <span className="jp-Tunebook-Run-count">{trans.__(' · best')}</span>}
      </span>
      <span className="jp-Tunebook-Run-score">{score(trial.values[0] ?? null)}</span>
      <span className="jp-Tunebook-Run-standing">{trial.message || parametersText(trial.parameters)}</span>
    </>
  );
}

function trialWords(entry: Entry): string {
  if (entry.kind !== 'trial') {
    return '';
  }
  const { trial } = entry;
  const parts = [trans.__('trial %1', trial.number), trial.state, score(trial.values[0] ?? null, 4)];
  return [...parts, parametersText(trial.parameters), trial.message].filter(Boolean).join(' · ');
}

function parametersText(parameters: { readonly [name: string]: string }): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${brief(value)}`)
    .join(' · ');
}

/** Keep three digits of a number with many, and anything else as it is. */
export function brief(value: string): string {
  return /^-?\d*\.\d{4,}(e-?\d+)?$/.test(value) ? String(Number(Number(value).toPrecision(3))) : value;
}
