import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { Poll } from '@lumino/polling';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { download, fileName } from '../chart/saving';
import type { IComparison, IRunDetail, IRunRow, ITrials } from '../contract';
import { Trouble, Waiting } from '../notices';
import { complain } from '../notifications';
import type { RunActions } from '../runs/actions';
import { besideState, Column } from '../runs/columns';
import { RunNotes } from '../runs/notes';
import { isBelow, mark, spoken, standing, timeLeft } from '../runs/words';
import type { Server } from '../server';
import { trans } from '../translation';
import { ICardSource, ModelCard } from './card';
import { Comparison } from './compare';
import { CurvesHost } from './curves';
import { CurveFeed, ISubject } from './feed';
import { Figures, Files } from './files';
import { Recipe } from './recipe';
import { BiasReport } from './report';
import { Results } from './results';
import { Trials } from './trials';

/** What a page of runs needs from outside. */
export interface IPageParts {
  readonly server: Server;
  readonly actions: RunActions;
  readonly open: (path: string) => void;
  readonly openRun: (path: string) => void;
  readonly isDark: () => boolean;
  /** How a model card is read and shown; undefined where JupyterLab renders no Markdown. */
  readonly card?: ICardSource;
}

/** One run, or several side by side, in JupyterLab's main area. */
export class RunPage extends ReactWidget {
  constructor(
    private readonly parts: IPageParts,
    readonly paths: readonly string[]
  ) {
    super();
    this.addClass('jp-Tunebook-Page');
    this.poll = new Poll({
      name: 'tunebook:page',
      factory: () => this.ask(),
      frequency: { interval: 2000, backoff: true, max: 60_000 },
      standby: () => (document.hidden || !this.isVisible || this.isOver ? true : 'when-hidden')
    });
    this.feed = new CurveFeed(
      parts.server,
      paths.map(path => ({ path, name: nameOf(path), row: undefined })),
      () => this.isVisible
    );
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.poll.dispose();
      this.feed.dispose();
      Signal.clearData(this);
      super.dispose();
    }
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    void this.poll.refresh();
  }

  protected render(): JSX.Element {
    return <UseSignal signal={this._told}>{() => this.body()}</UseSignal>;
  }

  private body(): JSX.Element {
    const { parts, feed, failure } = this;
    if (failure !== undefined) {
      return <Trouble error={failure} retry={() => void this.poll.refresh()} />;
    }
    if (this.comparison) {
      const { comparison } = this;
      return (
        <div className="jp-Tunebook-Page-body">
          <div className="jp-Tunebook-Page-header">
            <h2>
              {comparison.runs.length > 2
                ? trans.__('%1 runs side by side', comparison.runs.length)
                : comparison.runs.map(run => run.name).join(trans.__(' against '))}
            </h2>
          </div>
          <CurvesHost feed={feed} title={trans.__('Curves')} canCommand={false} />
          <Comparison comparison={comparison} open={parts.openRun} />
        </div>
      );
    }
    return this.detail ? (
      <SinglePage
        parts={parts}
        detail={this.detail}
        trials={this.trials}
        feed={feed}
        done={() => void this.poll.refresh()}
      />
    ) : (
      <Waiting />
    );
  }

  private get isOver(): boolean {
    const rows = this.comparison?.runs ?? (this.detail ? [this.detail.row] : []);
    return rows.length > 0 && rows.every(row => row.state !== 'running' && row.state !== 'queued');
  }

  private async ask(): Promise<void> {
    const { server } = this.parts;
    try {
      if (this.paths.length > 1) {
        this.comparison = await server.compare(this.paths);
        this.comparison.runs.forEach(row => this.feed.describe({ path: row.path, name: row.name, row }));
      } else {
        const detail = await server.run(this.paths[0]);
        this.trials = detail.row.kind === 'sweep' ? await server.trials(this.paths[0]) : undefined;
        this.detail = detail;
        this.feed.describe(subjectOf(detail));
      }
      this.failure = undefined;
    } catch (error) {
      this.failure = error;
      throw error;
    } finally {
      if (!this.isDisposed) {
        this._told.emit();
      }
    }
  }

  private detail: IRunDetail | undefined;
  private trials: ITrials | undefined;
  private comparison: IComparison | undefined;
  private failure: unknown;
  private readonly feed: CurveFeed;
  private readonly poll: Poll;
  private readonly _told = new Signal<this, void>(this);
}

function subjectOf(detail: IRunDetail): ISubject {
  const { row, classes, confusion } = detail;
  return { path: row.path, name: row.name, row, classes, confusion };
}

/** The last part of a path: what a run is called until the server says so. */
export function nameOf(path: string): string {
  return path.split('/').pop() || path;
}

/** What the header says behind the state; a model below its baseline has said both figures. */
function headColumns(row: IRunRow): ReadonlySet<Column> {
  return new Set(isBelow(row) ? ['age'] : ['baseline', 'age']);
}

type Tab = 'curves' | 'results' | 'bias' | 'card' | 'recipe' | 'files';

function SinglePage(props: {
  parts: IPageParts;
  detail: IRunDetail;
  trials: ITrials | undefined;
  feed: CurveFeed;
  done: () => void;
}): JSX.Element {
  const { parts, detail, trials, feed } = props;
  const { row } = detail;
  const isSweep = row.kind === 'sweep';
  const [tab, setTab] = React.useState<Tab>(isSweep ? 'results' : 'curves');
  const tabs: [Tab, string, boolean][] = [
    ['curves', trans.__('Curves'), !isSweep],
    ['results', isSweep ? trans.__('Trials') : trans.__('Results'), true],
    ['bias', trans.__('Bias report'), row.report],
    ['card', trans.__('Model card'), detail.card !== '' && parts.card !== undefined],
    ['recipe', trans.__('Recipe'), true],
    ['files', trans.__('Files'), true]
  ];
  return (
    <div className="jp-Tunebook-Page-body">
      <div className="jp-Tunebook-Page-header" data-tunebook-run={row.path} data-below={isBelow(row) || undefined}>
        <span className={`jp-Tunebook-Dot jp-Tunebook-state-${mark(row)}`} />
        <h2 title={row.path}>
          {row.star ? '★ ' : ''}
          {row.name}
        </h2>
        <span className="jp-Tunebook-Page-standing" title={spoken(row)}>
          {[standing(row), timeLeft(row), ...besideState(row, headColumns(row)), row.model, row.data]
            .filter(Boolean)
            .join(' · ')}
        </span>
        <span className="jp-Tunebook-Page-buttons">
          <button
            type="button"
            data-action="handout"
            className="jp-mod-styled jp-Tunebook-mod-plain"
            title={trans.__('One page with curves, results, bias report, recipe and model card, to hand on')}
            onClick={() => void saveHandout(parts.server, row)}
          >
            {trans.__('Save as one file')}
          </button>
          {parts.actions
            .of(row)
            .filter(action => action.id !== 'open' && action.id !== 'rename' && action.id !== 'delete')
            .map(action => (
              <button
                key={action.id}
                type="button"
                data-action={action.id}
                className="jp-mod-styled jp-Tunebook-mod-plain"
                onClick={() => void action.run().then(props.done)}
              >
                {action.label}
              </button>
            ))}
        </span>
      </div>
      <RunNotes row={row} />
      <Tabs tabs={tabs.filter(([, , isThere]) => isThere)} current={tab} onChange={setTab} />
      <div className="jp-Tunebook-Page-tab" role="tabpanel" data-tab={tab}>
        {tab === 'curves' && <CurvesHost feed={feed} title={trans.__('Curves')} canCommand={row.controllable} />}
        {tab === 'results' && (
          <>
            {trials && <Trials trials={trials} />}
            {isSweep ? (
              <Figures figures={detail.figures} baseUrl={parts.server.settings.baseUrl} />
            ) : (
              <Results detail={detail} />
            )}
          </>
        )}
        {tab === 'bias' && <BiasReport server={parts.server} path={row.path} isDark={parts.isDark()} />}
        {tab === 'card' && parts.card && <ModelCard path={detail.card} source={parts.card} />}
        {tab === 'recipe' && <Recipe detail={detail} />}
        {tab === 'files' && <Files files={detail.files} open={parts.open} />}
      </div>
    </div>
  );
}

async function saveHandout(server: Server, row: IRunRow): Promise<void> {
  try {
    download(await server.handout(row.path), `${fileName(row.name)}.html`);
  } catch (error) {
    complain(error);
  }
}

function Tabs(props: {
  tabs: readonly [Tab, string, boolean][];
  current: Tab;
  onChange: (tab: Tab) => void;
}): JSX.Element {
  const { tabs, current, onChange } = props;
  const move = (event: React.KeyboardEvent<HTMLDivElement>): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) {
      const place = tabs.findIndex(([tab]) => tab === current);
      const next = (place + step + tabs.length) % tabs.length;
      onChange(tabs[next][0]);
      (event.currentTarget.children[next] as HTMLElement).focus();
      event.preventDefault();
    }
  };
  return (
    <div className="jp-Tunebook-Tabs" role="tablist" onKeyDown={move}>
      {tabs.map(([tab, text]) => (
        <button
          key={tab}
          type="button"
          role="tab"
          data-tab={tab}
          aria-selected={tab === current}
          tabIndex={tab === current ? 0 : -1}
          onClick={() => onChange(tab)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
