import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';

import { commandIds } from './commands';
import type { IRunRow } from './contract';
import { ending, isBelow } from './runs/words';
import { oneLine } from './server';
import { trans } from './translation';

/** Say that a background run waits or has begun, with the way to where it can be watched. */
export function announce(app: JupyterFrontEnd, title: string, isSearch: boolean): void {
  void app.commands.execute(commandIds.refresh).catch(() => undefined);
  Notification.success(isSearch ? trans.__('Search queued: %1', title) : trans.__('Run queued: %1', title), {
    autoClose: 4000,
    actions: [{ label: trans.__('Show runs'), callback: () => void app.commands.execute(commandIds.showRuns) }]
  });
}

/** Say how a run ended: amber for a model that is below its baseline. */
export function tellEnd(app: JupyterFrontEnd, row: IRunRow): void {
  const said = trans.__('%1: %2', row.name, ending(row));
  const options = {
    autoClose: 15_000,
    actions: [
      {
        label: trans.__('Show run'),
        callback: () => void app.commands.execute(commandIds.openRun, { paths: [row.path] })
      }
    ]
  };
  if (isBelow(row)) {
    Notification.warning(said, options);
  } else if (row.state === 'finished') {
    Notification.success(said, options);
  } else if (row.state === 'failed' || row.state === 'died') {
    Notification.error(said, options);
  } else {
    Notification.info(said, options);
  }
}

/** Tell of a failure in one line. */
export function complain(error: unknown): void {
  Notification.error(oneLine(error), { autoClose: 8000 });
}
