import { Cell } from '@jupyterlab/cells';
import { IDisposable } from '@lumino/disposable';
import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import { takesParameters } from './cell';
import { headingAbove, IProgress, isUnderWay, ITraining, trainingOf } from './progress';

/** Wait in ms for a kernel that says it is idle: between two cells it says so as well. */
const QUIET = 2000;

/** How a notebook ended that was run. */
export interface IEnd {
  readonly panel: NotebookPanel;
  /** Time in ms that its cells took. */
  readonly took: number;
  /** What went wrong, in one line; empty where nothing did. */
  readonly failure: string;
  /** Heading above the cell that failed. */
  readonly title: string;
  /** The run that was trained meanwhile. */
  readonly training: ITraining | undefined;
}

/** Watches the notebooks that are run in this JupyterLab: which cell runs, what it trains, and how it ended. */
export class NotebookWatch implements IDisposable {
  constructor(notebooks: INotebookTracker) {
    notebooks.widgetAdded.connect((_, panel) => this.add(panel));
    notebooks.forEach(panel => this.add(panel));
    NotebookActions.executionScheduled.connect(this.onScheduled, this);
    NotebookActions.executed.connect(this.onExecuted, this);
  }

  /** Emitted when there is something new to be shown. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted once when a notebook has run to its end, or no further. */
  get ended(): ISignal<this, IEnd> {
    return this._ended;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.known.forEach(one => window.clearTimeout(one.timer));
      Signal.clearData(this);
    }
  }

  /** The notebooks that run now, in the order in which they were opened. */
  running(): { readonly panel: NotebookPanel; readonly progress: IProgress }[] {
    return [...this.known.values()]
      .filter(one => isBusy(one))
      .map(one => ({ panel: one.panel, progress: progressOf(one) }));
  }

  /** Bring the cell that runs in a notebook into sight. */
  reveal(panel: NotebookPanel): void {
    const one = this.known.get(panel);
    const index = one ? indexOf(one) : -1;
    if (index >= 0) {
      panel.content.activeCellIndex = index;
      void panel.content.scrollToItem(index);
    }
  }

  private add(panel: NotebookPanel): void {
    if (this.known.has(panel)) {
      return;
    }
    const one: IWatched = { panel, pending: [], began: 0, failure: '', title: '', last: -1, training: undefined, timer: 0 };
    this.known.set(panel, one);
    const { sessionContext } = panel;
    sessionContext.iopubMessage.connect((_, message) => this.onMessage(one, message));
    sessionContext.statusChanged.connect((_, status) => this.onStatus(one, status));
    panel.disposed.connect(() => {
      window.clearTimeout(one.timer);
      this.known.delete(panel);
      this._changed.emit();
    });
  }

  private of(notebook: unknown): IWatched | undefined {
    return [...this.known.values()].find(one => one.panel.content === notebook);
  }

  private onScheduled(_: unknown, { notebook, cell }: { notebook: unknown; cell: Cell }): void {
    const one = this.of(notebook);
    if (!one || cell.model.type !== 'code') {
      return;
    }
    if (one.pending.length === 0) {
      one.began = Date.now();
      one.failure = one.title = '';
      one.training = undefined;
    }
    one.pending.push(cell.model.id);
    this._changed.emit();
  }

  private onExecuted(
    _: unknown,
    { notebook, cell, success, error }: { notebook: unknown; cell: Cell; success: boolean; error?: unknown }
  ): void {
    const one = this.of(notebook);
    const place = one?.pending.indexOf(cell.model.id) ?? -1;
    if (!one || place < 0) {
      return;
    }
    one.last = indexOf(one);
    if (!success && one.failure === '') {
      one.title = progressOf(one).title;
      one.failure = errorLine(error);
    }
    one.pending.splice(place, 1);
    if (one.pending.length === 0) {
      this.end(one);
    }
    this._changed.emit();
  }

  private onMessage(one: IWatched, message: KernelMessage.IMessage): void {
    if (!KernelMessage.isCommMsgMsg(message)) {
      return;
    }
    const training = trainingOf(message.content.data);
    if (training) {
      // After a reload nobody remembers which cell it was; what trains is told all the same.
      one.began ||= Date.now();
      one.training = training;
      if (!isUnderWay(training) && one.pending.length === 0) {
        this.end(one);
      }
      this._changed.emit();
    }
  }

  private onStatus(one: IWatched, status: Kernel.Status): void {
    window.clearTimeout(one.timer);
    const isGone = ['dead', 'terminating', 'restarting', 'autorestarting', 'unknown'].includes(status);
    if (isGone && isBusy(one)) {
      this.forget(one);
    } else if (status === 'idle' && isBusy(one)) {
      one.timer = window.setTimeout(() => this.forget(one), QUIET);
    }
  }

  /** Nothing runs any longer, whatever was scheduled: the kernel is idle, or gone. */
  private forget(one: IWatched): void {
    one.pending.length = 0;
    if (one.training && isUnderWay(one.training)) {
      one.training = undefined;
    }
    one.began = 0;
    this._changed.emit();
  }

  private end(one: IWatched): void {
    const { panel, failure, title, training } = one;
    if (one.began > 0 && (takesParameters(panel) || training)) {
      this._ended.emit({ panel, took: Date.now() - one.began, failure, title, training });
    }
    one.began = 0;
  }

  private _isDisposed = false;
  private readonly known = new Map<NotebookPanel, IWatched>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _ended = new Signal<this, IEnd>(this);
}

interface IWatched {
  readonly panel: NotebookPanel;
  /** Ids of the cells that are still to end, the one that runs first. */
  readonly pending: string[];
  began: number;
  failure: string;
  title: string;
  last: number;
  training: ITraining | undefined;
  timer: number;
}

function isBusy(one: IWatched): boolean {
  const trains = one.training !== undefined && isUnderWay(one.training);
  return trains || (one.pending.length > 0 && takesParameters(one.panel));
}

/** Where the cell is that runs; where the last one was between two of them. */
function indexOf(one: IWatched): number {
  const cells = one.panel.content.model?.cells;
  for (let place = 0; cells && place < cells.length; place += 1) {
    if (cells.get(place).id === one.pending[0]) {
      return place;
    }
  }
  return one.last;
}

function progressOf(one: IWatched): IProgress {
  const cells = one.panel.content.model?.sharedModel.cells ?? [];
  const texts = cells.map(cell => ({ isMarkdown: cell.cell_type === 'markdown', source: cell.getSource() }));
  return { ...headingAbove(texts, indexOf(one)), training: one.training };
}

/** What a kernel's error says, in one line without colours. */
function errorLine(error: unknown): string {
  const said = error as { errorName?: unknown; errorValue?: unknown } | null | undefined;
  const parts = [said?.errorName, said?.errorValue].filter(part => typeof part === 'string' && part !== '');
  return parts.join(': ').replace(/\u001b\[[0-9;]*m/g, '').split('\n')[0] || '–';
}
