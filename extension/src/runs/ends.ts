import { JupyterFrontEnd } from '@jupyterlab/application';

import type { IRunRow } from '../contract';
import { tellEnd } from '../notifications';
import type { RunStore } from './store';

/** Tell of background runs as they end, for as long as this page is open. */
export function tellEnds(app: JupyterFrontEnd, store: RunStore): void {
  const live = new Set<string>();
  store.changed.connect(() => {
    for (const row of store.rows.values()) {
      if (isLive(row)) {
        live.add(row.path);
      } else if (live.delete(row.path) && row.job !== '') {
        // What a notebook runs is told of by its own watch.
        tellEnd(app, row);
      }
    }
  });
}

function isLive(row: IRunRow): boolean {
  return row.state === 'running' || row.state === 'queued';
}
