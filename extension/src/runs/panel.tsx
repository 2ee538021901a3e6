import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IRunRow } from '../contract';
import { tunebookIcon } from '../icons';
import { Trouble, Waiting } from '../notices';
import { trans } from '../translation';
import { RunActions } from './actions';
import { allColumns, Column, columnName, likenessOf } from './columns';
import { entries, Entry, Filter, firstView, IView, keptView, Order } from './entries';
import { RunList } from './list';
import { nameParts } from './names';
import { RunNotes } from './notes';
import type { ILook } from './rows';
import { RunStore } from './store';
import { facts, isBelow, mark, standing, stateWord } from './words';

/** What the side bar remembers over a reload. */
export interface IRemembered {
  load(): Promise<IView | undefined>;
  save(view: IView): void;
}

/** The runs in the left side bar. */
export class RunsPanel extends ReactWidget {
  constructor(
    private readonly store: RunStore,
    private readonly actions: RunActions,
    private readonly remembered: IRemembered
  ) {
    super();
    this.id = 'tunebook-runs';
    this.addClass('jp-Tunebook-Runs');
    this.title.icon = tunebookIcon;
    this.title.caption = trans.__('Runs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Fine-tuning runs'));
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.store.watch(true);
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.store.watch(false);
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this.store.changed}>
        {() => <RunsView store={this.store} actions={this.actions} remembered={this.remembered} />}
      </UseSignal>
    );
  }
}

function RunsView(props: { store: RunStore; actions: RunActions; remembered: IRemembered }): JSX.Element {
  const { store, actions, remembered } = props;
  const [view, setView] = React.useState<IView>(firstView);
  const [active, setActive] = React.useState('');
  const [selected, setSelected] = React.useState<ReadonlySet<string>>(new Set());
  const [unfolded, setUnfolded] = React.useState<ReadonlySet<string>>(new Set());

  React.useEffect(() => {
    void remembered.load().then(saved => saved && setView(keptView(saved)));
  }, []);
  const change = (some: Partial<IView>): void => {
    const next = { ...view, ...some };
    setView(next);
    remembered.save(next);
  };
  const fold = (row: IRunRow, open: boolean): void => {
    const next = new Set(unfolded);
    if (open) {
      next.add(row.path);
    } else {
      next.delete(row.path);
    }
    store.unfold(row.path, open);
    setUnfolded(next);
  };

  const lines = entries(store.rows.values(), store.trials, unfolded, view);
  const listed = lines.flatMap(line => (line.kind === 'run' ? [line.row] : []));
  const columns = React.useMemo(() => new Set(view.columns), [view.columns]);
  const look: ILook = useSame({ columns, ...likenessOf(listed), names: nameParts(listed.map(row => row.name)) });

  if (!store.isLoaded) {
    return store.failure === undefined ? (
      <Waiting />
    ) : (
      <Trouble error={store.failure} retry={() => void store.refresh()} />
    );
  }
  const known = [...selected].filter(key => store.rows.has(key));
  const rows = known.map(key => store.rows.get(key)!);
  const current = lines.find(line => line.key === active);
  return (
    <>
      <Head view={view} change={change} count={listed.length} rows={rows} actions={actions} />
      {store.failure !== undefined && <Trouble error={store.failure} />}
      {lines.length === 0 ? (
        <Empty isFiltered={store.rows.size > 0} />
      ) : (
        <RunList
          entries={lines}
          look={look}
          active={active}
          selected={selected}
          unfolded={unfolded}
          onActive={setActive}
          onSelect={setSelected}
          onFold={fold}
          onOpen={row => void actions.open(row)}
          onRename={row => void actions.rename(row)}
          onStar={row => void actions.star(row)}
          onDelete={() => void actions.remove(rows.length > 0 ? rows : current ? [current.row] : [])}
        />
      )}
      {current && (
        <Strip entry={current} actions={actions} find={tag => change({ search: `#${tag.replace(/\s+/g, '-')}` })} />
      )}
    </>
  );
}

function Head(props: {
  view: IView;
  change: (some: Partial<IView>) => void;
  count: number;
  rows: readonly IRunRow[];
  actions: RunActions;
}): JSX.Element {
  const { view, change, rows, actions } = props;
  const orders: [Order, string][] = [
    ['newest', trans.__('Newest')],
    ['name', trans.__('Name')],
    ['score', trans.__('Score')],
    ['gap', trans.__('Gap')],
    ['state', trans.__('State')]
  ];
  const filters: [Filter, string][] = [
    ['all', trans.__('All')],
    ['starred', trans.__('Starred')],
    ['active', trans.__('Active')],
    ['finished', trans.__('Finished')],
    ['below', trans.__('Below baseline')],
    ['stopped', trans.__('Stopped, failed')],
    ['sweeps', trans.__('Searches')]
  ];
  return (
    <div className="jp-Tunebook-Runs-head">
      <div className="jp-Tunebook-Runs-title">
        <h2>{trans.__('Runs')}</h2>
        <span className="jp-Tunebook-Runs-count" role="status">
          {props.count}
        </span>
        <button
          type="button"
          className="jp-mod-styled jp-Tunebook-mod-plain"
          disabled={rows.length < 2}
          title={trans.__('Select two or more runs, with Ctrl and a click or the space bar, to see them side by side')}
          onClick={() => void actions.compare(rows)}
        >
          {rows.length < 2 ? trans.__('Compare') : trans.__('Compare %1', rows.length)}
        </button>
      </div>
      <input
        type="search"
        className="jp-mod-styled jp-Tunebook-Input"
        placeholder={trans.__('Search: name, #tag, lr 0.01 …')}
        aria-label={trans.__('Search runs')}
        value={view.search}
        onChange={event => change({ search: event.target.value })}
      />
      <div className="jp-Tunebook-Runs-view">
        <Choice
          name={trans.__('Show')}
          options={filters}
          value={view.filter}
          onChange={filter => change({ filter: filter as Filter })}
        />
        <Choice
          name={trans.__('Order')}
          options={orders}
          value={view.order}
          onChange={order => change({ order: order as Order })}
        />
      </div>
      <Columns chosen={view.columns} onChange={columns => change({ columns })} />
    </div>
  );
}

/** Which facts rows show; folded until somebody wants others. */
function Columns(props: { chosen: readonly Column[]; onChange: (columns: Column[]) => void }): JSX.Element {
  const { chosen, onChange } = props;
  return (
    <details className="jp-Tunebook-Columns">
      <summary>{trans.__('Columns')}</summary>
      <div role="group" aria-label={trans.__('Facts on each row')}>
        {allColumns.map(column => (
          <label key={column}>
            <input
              type="checkbox"
              data-column={column}
              checked={chosen.includes(column)}
              onChange={event =>
                onChange(
                  allColumns.filter(one => (one === column ? event.target.checked : chosen.includes(one)))
                )
              }
            />
            {columnName(column)}
          </label>
        ))}
      </div>
    </details>
  );
}

/** Keep what rows have in common while it is equal, so that lines that did not change are not drawn again. */
function useSame(look: ILook): ILook {
  const kept = React.useRef(look);
  const same =
    kept.current.columns === look.columns &&
    kept.current.alike.size === look.alike.size &&
    [...look.alike].every(name => kept.current.alike.has(name)) &&
    kept.current.data.size === look.data.size &&
    [...look.data].every(([path, end]) => kept.current.data.get(path) === end) &&
    kept.current.names.size === look.names.size &&
    [...look.names].every(([name, parts]) => {
      const before = kept.current.names.get(name);
      return before?.common === parts.common && before.shared === parts.shared;
    });
  if (!same) {
    kept.current = look;
  }
  return kept.current;
}

function Choice(props: {
  name: string;
  options: readonly (readonly [string, string])[];
  value: string;
  onChange: (value: string) => void;
}): JSX.Element {
  return (
    <div className="jp-select-wrapper jp-Tunebook-Select">
      <select
        className="jp-mod-styled"
        aria-label={props.name}
        title={props.name}
        value={props.value}
        onChange={event => props.onChange(event.target.value)}
      >
        {props.options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

function Empty(props: { isFiltered: boolean }): JSX.Element {
  return (
    <p className="jp-Tunebook-Empty">
      {props.isFiltered
        ? trans.__('No run is like that.')
        : trans.__('No runs yet. Start one from the launcher, under “Fine-tuning”.')}
    </p>
  );
}

/** What is known of the run under the cursor, and what can be done with it. */
function Strip(props: { entry: Entry; actions: RunActions; find: (tag: string) => void }): JSX.Element {
  const { row } = props.entry;
  const hasEnded = ['stopped', 'failed', 'died'].includes(row.state);
  return (
    <div className="jp-Tunebook-Strip" role="group" aria-label={trans.__('Run %1', row.name)}>
      <div className="jp-Tunebook-Strip-name" title={row.path}>
        <span className={`jp-Tunebook-Dot jp-Tunebook-state-${mark(row)}`} />
        <strong>{row.name}</strong>
        <span>{stateWord(row)}</span>
      </div>
      {isBelow(row) && <div className="jp-Tunebook-Strip-message jp-Tunebook-mod-below">{standing(row)}</div>}
      {row.message && <div className="jp-Tunebook-Strip-message">{row.message}</div>}
      {facts(row).map((line, place) => (
        <div className="jp-Tunebook-Strip-fact" key={place}>
          {line}
        </div>
      ))}
      {hasEnded && row.obstacle && (
        <div className="jp-Tunebook-Strip-fact">{trans.__('It cannot be resumed: %1', row.obstacle)}</div>
      )}
      <RunNotes row={row} find={props.find} />
      <div className="jp-Tunebook-Strip-buttons">
        {props.actions.of(row).map(action => (
          <button
            key={action.id}
            type="button"
            data-action={action.id}
            className="jp-mod-styled jp-Tunebook-mod-plain"
            onClick={() => void action.run()}
          >
            {action.label}
          </button>
        ))}
      </div>
    </div>
  );
}
