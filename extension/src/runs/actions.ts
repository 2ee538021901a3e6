import { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog, Notification } from '@jupyterlab/apputils';

import { commandIds } from '../commands';
import type { IRunRow } from '../contract';
import { sure } from '../form/choice';
import { complain } from '../notifications';
import type { Server } from '../server';
import { trans } from '../translation';
import { showLog } from './log';
import type { RunStore } from './store';

/** Something that can be done with a run, as a button. */
export interface IRunAction {
  readonly id: string;
  readonly label: string;
  readonly run: () => Promise<void>;
}

/** What a person can do with runs. */
export class RunActions {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly server: Server,
    private readonly store: RunStore
  ) {}

  /** The buttons that make sense for a run as it stands. */
  of(row: IRunRow): IRunAction[] {
    const found: IRunAction[] = [];
    const add = (id: string, label: string, run: () => Promise<void>): void => {
      found.push({ id, label, run: () => this.guarded(run) });
    };
    const hasFolder = row.path !== '' && row.state !== 'unreadable' && !(row.state === 'queued' && row.started === 0 && row.job !== '');
    if (hasFolder) {
      add('open', trans.__('Open'), () => this.open(row));
    }
    if (row.controllable) {
      if (row.paused) {
        add('resume', trans.__('Resume'), () => this.command(row, 'resume'));
      } else if (row.kind !== 'sweep') {
        add('pause', trans.__('Pause'), () => this.command(row, 'pause'));
      }
      add('stop', trans.__('Stop'), () => this.command(row, 'stop'));
    } else if (row.state === 'running' && row.job) {
      add('stop', trans.__('Stop'), () => this.cancel(row));
    }
    if (row.state === 'queued' && row.job) {
      add('cancel', trans.__('Take out of the queue'), () => this.cancel(row));
    }
    if (row.resumable) {
      add('go-on', trans.__('Go on'), () => this.goOn(row));
    }
    if (row.notebook) {
      add('notebook', trans.__('Notebook'), () => this.notebook(row));
    }
    if (row.job && row.state !== 'queued') {
      add('log', trans.__('Log'), () => this.log(row));
    }
    if (row.state !== 'running' && hasFolder) {
      add('rename', trans.__('Rename'), () => this.rename(row));
      add('delete', trans.__('Delete'), () => this.remove([row]));
    }
    return found;
  }

  async open(row: IRunRow): Promise<void> {
    await this.app.commands.execute(commandIds.openRun, { paths: [row.path] });
  }

  async compare(rows: readonly IRunRow[]): Promise<void> {
    await this.app.commands.execute(commandIds.openRun, { paths: rows.map(row => row.path) });
  }

  async rename(row: IRunRow): Promise<void> {
    const result = await InputDialog.getText({
      title: trans.__('Rename a run'),
      label: trans.__('New name of %1', row.name),
      text: row.name,
      okLabel: trans.__('Rename')
    });
    const name = result.value?.trim() ?? '';
    if (result.button.accept && name !== '' && name !== row.name) {
      await this.guarded(async () => {
        await this.server.rename(row.path, name);
      });
    }
  }

  async remove(rows: readonly IRunRow[]): Promise<void> {
    const free = rows.filter(row => row.state !== 'running');
    if (free.length === 0) {
      return;
    }
    const title = trans._n('Delete a run?', 'Delete %1 runs?', free.length, free.length);
    const names = free.slice(0, 5).map(row => row.name).join(', ') + (free.length > 5 ? ', …' : '');
    if (await sure(title, trans.__('%1 goes to the trash, with its log, model and report.', names), trans.__('Delete'))) {
      for (const row of free) {
        await this.guarded(() => this.server.remove(row.path));
      }
    }
  }

  private async command(row: IRunRow, name: string): Promise<void> {
    await this.server.command(row.path, name);
    const said: Record<string, string> = {
      pause: trans.__('%1 pauses at its next step', row.name),
      resume: trans.__('%1 goes on', row.name),
      stop: trans.__('%1 stops at its next step, with a checkpoint', row.name)
    };
    Notification.info(said[name] ?? row.name, { autoClose: 3000 });
  }

  private async cancel(row: IRunRow): Promise<void> {
    await this.server.cancel(row.job);
  }

  private async goOn(row: IRunRow): Promise<void> {
    await this.server.submit({ resume: row.path });
    Notification.info(trans.__('%1 goes on in the background', row.name), { autoClose: 3000 });
  }

  private async notebook(row: IRunRow): Promise<void> {
    await this.app.commands.execute('docmanager:open', { path: row.notebook });
  }

  private async log(row: IRunRow): Promise<void> {
    const text = await this.server.log(row.job);
    await showLog(row.name, text);
  }

  private async guarded(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      complain(error);
    }
    await this.store.refresh();
  }
}
