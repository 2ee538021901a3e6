import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { score } from '../quantities';
import { trans } from '../translation';
import { besideState, Column, ILikeness, isTall, ownLine, times } from './columns';
import { Entry, scoreOf } from './entries';
import type { INameParts } from './names';
import { Sparkline } from './sparkline';
import { isBelow, mark, spoken, standing, stateWord } from './words';

/** What all rows of a list have in common. */
export interface ILook extends ILikeness {
  readonly columns: ReadonlySet<Column>;
  readonly names: ReadonlyMap<string, INameParts>;
}

/** Height of a line of the list in CSS pixels: virtual rows need one that is known. */
export function rowHeight(columns: ReadonlySet<Column>): number {
  return isTall(columns) ? 66 : 48;
}

export interface IRowProps {
  readonly entry: Entry;
  readonly id: string;
  readonly place: number;
  readonly look: ILook;
  readonly isActive: boolean;
  readonly isSelected: boolean;
  readonly isUnfolded: boolean;
  readonly onFold: () => void;
  readonly onPick: (event: React.MouseEvent) => void;
  readonly onOpen: () => void;
  readonly onStar: () => void;
}

/** A line of the list. */
export const Row = React.memo(function Row(props: IRowProps): JSX.Element {
  const { entry } = props;
  const isRun = entry.kind === 'run';
  const height = rowHeight(props.look.columns);
  const classes = ['jp-Tunebook-Run', isRun ? '' : 'jp-Tunebook-mod-trial', props.isActive ? 'jp-Tunebook-mod-active' : ''];
  return (
    <div
      id={props.id}
      className={[...classes, props.isSelected ? 'jp-Tunebook-mod-selected' : ''].filter(Boolean).join(' ')}
      style={{ height, transform: `translateY(${props.place * height}px)` }}
      role="treeitem"
      aria-level={isRun ? 1 : 2}
      aria-selected={props.isSelected}
      aria-expanded={isRun && entry.row.kind === 'sweep' ? props.isUnfolded : undefined}
      aria-label={isRun ? spoken(entry.row) : trialWords(entry)}
      title={isRun ? [spoken(entry.row), times(entry.row)].filter(Boolean).join('\n') : trialWords(entry)}
      data-path={entry.row.path}
      data-tunebook-run={isRun ? entry.row.path : undefined}
      data-state={isRun ? entry.row.state : entry.trial.state}
      data-below={isRun && isBelow(entry.row) ? true : undefined}
      onMouseDown={props.onPick}
      onDoubleClick={props.onOpen}
    >
      {isRun ? <RunLine {...props} /> : <TrialLine entry={entry} />}
    </div>
  );
});

function RunLine(props: IRowProps): JSX.Element {
  const { row } = props.entry;
  const { columns, names } = props.look;
  const tags = columns.has('tags') ? row.tags : [];
  const line = ownLine(row, columns, props.look);
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
        <span className={`jp-Tunebook-Dot jp-Tunebook-state-${mark(row)}`} title={stateWord(row)} />
      </span>
      <span className="jp-Tunebook-Run-head">
        <Name name={row.name} parts={names.get(row.name)} />
        <span
          className="jp-Tunebook-Run-star"
          data-star={row.star}
          title={row.star ? trans.__('Take the star away (S)') : trans.__('Give it a star (S)')}
          onMouseDown={event => event.stopPropagation()}
          onDoubleClick={event => event.stopPropagation()}
          onClick={event => {
            event.stopPropagation();
            props.onStar();
          }}
        >
          {row.star ? '★' : '☆'}
        </span>
      </span>
      <span className="jp-Tunebook-Run-score">{score(scoreOf(row))}</span>
      <span className="jp-Tunebook-Run-standing">
        {[isBelow(row) ? trans.__('below baseline') : standing(row), ...besideState(row, columns)].join(' · ')}
      </span>
      {isTall(columns) && (
        <span className="jp-Tunebook-Run-facts">
          {tags.map(tag => (
            <span className="jp-Tunebook-Tag" key={tag}>
              {tag}
            </span>
          ))}
          <span className="jp-Tunebook-Run-line">{line.join(' · ')}</span>
        </span>
      )}
      <Sparkline values={row.sparkline} />
      {isLive && (
        <span className="jp-Tunebook-Run-progress">
          <span style={{ width: `${100 * (row.progress ?? 0)}%` }} />
        </span>
      )}
    </>
  );
}

/** A name of which what others share gives way first. */
function Name(props: { name: string; parts: INameParts | undefined }): JSX.Element {
  const { name, parts } = props;
  return (
    <span className="jp-Tunebook-Run-name">
      {parts?.common && <span className="jp-Tunebook-Run-common">{parts.common}</span>}
      {parts?.shared && <span className="jp-Tunebook-Run-shared">{parts.shared}</span>}
      <span className="jp-Tunebook-Run-own">{parts ? parts.own : name}</span>
      {parts?.rest && <span className="jp-Tunebook-Run-shared">{parts.rest}</span>}
      {parts?.end && <span className="jp-Tunebook-Run-end">{parts.end}</span>}
    </span>
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
