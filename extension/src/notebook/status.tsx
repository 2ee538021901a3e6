import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { commandIds } from '../commands';
import { tellEnd } from '../notifications';
import type { Server } from '../server';
import { trans } from '../translation';
import { progressWords } from './progress';
import { IEnd, NotebookWatch } from './watch';

/** Notebooks that took less than this, in ms, were watched by whoever ran them. */
const LONG = 10_000;

export interface IStatusParts {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
  readonly notebooks: INotebookTracker;
  readonly status: IStatusBar | null;
}

/** Show in the status bar what notebooks are doing, and tell when they have ended. */
export function addNotebookStatus({ app, server, notebooks, status }: IStatusParts): void {
  const watch = new NotebookWatch(notebooks);
  watch.ended.connect((_, end) => void tell(app, server, end));
  status?.registerStatusItem('tunebook:notebooks', {
    item: new NotebookStatus(watch, app),
    align: 'middle',
    rank: 10,
    isActive: () => watch.running().length > 0,
    activeStateChanged: watch.changed
  });
}

/** A button for each notebook that runs. */
class NotebookStatus extends ReactWidget {
  constructor(
    private readonly watch: NotebookWatch,
    private readonly app: JupyterFrontEnd
  ) {
    super();
    this.addClass('jp-Tunebook-Status');
  }

  protected render(): JSX.Element {
    return <UseSignal signal={this.watch.changed}>{() => this.body()}</UseSignal>;
  }

  private body(): JSX.Element {
    return (
      <>
        {this.watch.running().map(({ panel, progress }) => {
          const name = PathExt.basename(panel.context.path);
          const words = progressWords(progress);
          return (
            <button
              key={panel.id}
              type="button"
              title={trans.__('%1: %2. Go to the cell that runs.', panel.context.path, words)}
              onClick={() => {
                this.app.shell.activateById(panel.id);
                this.watch.reveal(panel);
              }}
            >
              <span className="jp-Tunebook-Dot jp-Tunebook-state-running" />
              <span className="jp-Tunebook-Status-words">{`${name}: ${words}`}</span>
            </button>
          );
        })}
      </>
    );
  }
}

async function tell(app: JupyterFrontEnd, server: Server, end: IEnd): Promise<void> {
  const { panel, took, failure, title, training } = end;
  const name = PathExt.basename(panel.context.path);
  const show = (label: string): Notification.IAction => ({ label, callback: () => app.shell.activateById(panel.id) });
  if (failure) {
    const where = title ? trans.__('%1 ended in “%2”: %3', name, title, failure) : trans.__('%1 ended: %2', name, failure);
    Notification.error(where, { autoClose: 15_000, actions: [show(trans.__('Show notebook'))] });
    return;
  }
  const path = training ? runPath(panel, training.path) : undefined;
  if (path !== undefined) {
    try {
      tellEnd(app, (await server.run(path)).row);
      void app.commands.execute(commandIds.refresh).catch(() => undefined);
      return;
    } catch {
      // The run lies where the server does not look; that the notebook ended is known all the same.
    }
  }
  if (took >= LONG || training) {
    Notification.success(trans.__('%1 has run to its end', name), {
      autoClose: 15_000,
      actions: [show(trans.__('Show notebook'))]
    });
  }
}

/** The path of a run that a notebook's kernel names from its folder; undefined where it leads out of the root. */
export function runPath(panel: NotebookPanel, path: string): string | undefined {
  if (path === '' || path.startsWith('/')) {
    return undefined;
  }
  const joined = PathExt.normalize(PathExt.join(PathExt.dirname(panel.context.localPath), path));
  return joined.startsWith('..') ? undefined : joined;
}
