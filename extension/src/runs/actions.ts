import { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog, Notification } from '@jupyterlab/apputils';

import { commandIds } from '../commands';
import type { IRunRow } from '../contract';
import { sure } from '../form/choice';
import { againForm } from '../form/again';
import { complain } from '../notifications';
import type { Server } from '../server';
import { trans } from '../translation';
import { showLog } from './log';
import { askNotes } from './notes';
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
        add('continue', trans.__('Continue'), () => this.command(row, 'resume'));
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
      add('resume', trans.__('Resume'), () => this.goOn(row));
    }
    if (canRunAgain(row)) {
      add('again', trans.__('Run again with changes'), () => this.again(row));
    }
    if (row.notebook) {
      add('notebook', trans.__('Notebook'), () => this.notebook(row));
    }
    if (row.job && row.state !== 'queued') {
      add('log', trans.__('Log'), () => this.log(row));
    }
    if (hasFolder) {
      add('star', row.star ? trans.__('Unstar') : trans.__('Star'), () => this.writeStar(row));
      add('notes', trans.__('Tags, note…'), () => this.note(row));
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

  /** Go on with a run in the background, or say in one line why it cannot be. */
  async resume(row: IRunRow): Promise<void> {
    await this.guarded(() => this.goOn(row));
  }

  /** Open the form with what a run was given. */
  async runAgain(row: IRunRow): Promise<void> {
    await this.guarded(() => this.again(row));
  }

  /** Give a run a star, or take it away. */
  async star(row: IRunRow): Promise<void> {
    await this.guarded(() => this.writeStar(row));
  }

  /** Ask for a run's tags and note. */
  async editNotes(row: IRunRow): Promise<void> {
    await this.guarded(() => this.note(row));
  }

  /** End a run with a checkpoint. */
  async stop(row: IRunRow): Promise<void> {
    await this.guarded(() => (row.controllable ? this.command(row, 'stop') : this.cancel(row)));
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
    if (row.obstacle) {
      throw new Error(trans.__('%1 cannot be resumed: %2', row.name, row.obstacle));
    }
    await this.server.submit({ resume: row.path });
    Notification.info(trans.__('%1 goes on in the background, from its last checkpoint', row.name), {
      autoClose: 5000,
      actions: [{ label: trans.__('Show run'), callback: () => void this.open(row) }]
    });
  }

  private async again(row: IRunRow): Promise<void> {
    const args = againForm(row, await this.server.again(row.path));
    await this.app.commands.execute(commandIds.form, args);
  }

  private async writeStar(row: IRunRow): Promise<void> {
    await this.server.notes(row.path, { star: !row.star });
  }

  private async note(row: IRunRow): Promise<void> {
    const notes = await askNotes(row);
    if (notes) {
      await this.server.notes(row.path, notes);
    }
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

/** Whether there is enough of a run to run it again: what it was given, and a task. */
export function canRunAgain(row: IRunRow): boolean {
  return row.kind !== 'notebook' && row.state !== 'unreadable' && row.task !== '' && row.model !== '';
}
