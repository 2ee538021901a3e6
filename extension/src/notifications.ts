import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';

import { commandIds } from './commands';
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

/** Tell of a failure in one line. */
export function complain(error: unknown): void {
  Notification.error(oneLine(error), { autoClose: 8000 });
}
