import { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog } from '@jupyterlab/apputils';

import { commandIds } from '../commands';
import type { IRunRow } from '../contract';
import { complain } from '../notifications';
import type { Server } from '../server';
import { trans } from '../translation';
import { canRunAgain, RunActions } from './actions';
import type { RunStore } from './store';
import { standing } from './words';

/** Where a run is shown: an element that names its path. */
const SELECTOR = '[data-tunebook-run]';

interface IParts {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
}

/** What a command does with a run. */
interface IRunCommand {
  readonly label: (row: IRunRow | undefined) => string;
  /** What it is called in the palette, where no run is pointed at. */
  readonly palette?: string;
  /** What the palette asks where it is not clear which run is meant. */
  readonly question: string;
  readonly fits: (row: IRunRow) => boolean;
  readonly act: (row: IRunRow) => Promise<void>;
}

/**
 * Make the commands for one run: of the context menu for the run under the pointer, of the palette for the page in
 * front, or for one that is chosen from a list.
 */
export function addRunCommands(parts: IParts, store: RunStore, actions: RunActions): void {
  const { app, server } = parts;
  const isLive = (row: IRunRow): boolean => row.state === 'running' || row.state === 'queued';
  const commands: Record<string, IRunCommand> = {
    [commandIds.resumeRun]: {
      label: () => trans.__('Resume'),
      palette: trans.__('Resume a run…'),
      question: trans.__('Resume which run?'),
      fits: row => row.resumable,
      act: row => actions.resume(row)
    },
    [commandIds.runAgain]: {
      label: () => trans.__('Run again with changes'),
      palette: trans.__('Run a run again with changes…'),
      question: trans.__('Run which run again?'),
      fits: canRunAgain,
      act: row => actions.runAgain(row)
    },
    [commandIds.stopRun]: {
      label: row => (row?.state === 'queued' ? trans.__('Take out of the queue') : trans.__('Stop with a checkpoint')),
      question: trans.__('Stop which run?'),
      fits: row => row.controllable || (isLive(row) && row.job !== ''),
      act: row => actions.stop(row)
    },
    [commandIds.starRun]: {
      label: row => (row?.star ? trans.__('Unstar') : trans.__('Star')),
      palette: trans.__('Star a run…'),
      question: trans.__('Star which run?'),
      fits: row => row.state !== 'unreadable',
      act: row => actions.star(row)
    },
    [commandIds.noteRun]: {
      label: () => trans.__('Tags, note…'),
      palette: trans.__('Write tags and a note…'),
      question: trans.__('Write a note to which run?'),
      fits: row => row.state !== 'unreadable',
      act: row => actions.editNotes(row)
    },
    [commandIds.renameRun]: {
      label: () => trans.__('Rename…'),
      question: trans.__('Rename which run?'),
      fits: row => !isLive(row),
      act: row => actions.rename(row)
    },
    [commandIds.deleteRun]: {
      label: () => trans.__('Delete…'),
      question: trans.__('Delete which run?'),
      fits: row => !isLive(row),
      act: row => actions.remove([row])
    }
  };
  const pointed = (): IRunRow | undefined => {
    const node = app.contextMenuHitTest(one => one.matches(SELECTOR));
    return node?.dataset.tunebookRun === undefined ? undefined : store.rows.get(node.dataset.tunebookRun);
  };
  const inFront = (): string | undefined =>
    app.shell.currentWidget?.node.querySelector<HTMLElement>(SELECTOR)?.dataset.tunebookRun;

  for (const [id, { label, palette, question, fits, act }] of Object.entries(commands)) {
    app.commands.addCommand(id, {
      label: args => (args.palette && palette ? palette : label(args.context ? pointed() : undefined)),
      describedBy: {
        args: { type: 'object', properties: { path: { type: 'string' }, palette: { type: 'boolean' }, context: { type: 'boolean' } } }
      },
      isVisible: args => {
        const row = args.context ? pointed() : undefined;
        return !args.context || (row !== undefined && fits(row));
      },
      execute: async args => {
        try {
          const path = typeof args.path === 'string' ? args.path : args.context ? pointed()?.path : inFront();
          // What stands in the list may be old: the server is asked.
          const row = path === undefined ? await choose(store, question, fits) : (await server.run(path)).row;
          if (row) {
            await act(row);
          }
        } catch (error) {
          complain(error);
        }
      }
    });
  }
}

/** Let a person choose one of the runs with which something can be done. */
async function choose(
  store: RunStore,
  question: string,
  fits: (row: IRunRow) => boolean
): Promise<IRunRow | undefined> {
  await store.refresh();
  const rows = [...store.rows.values()].filter(fits);
  rows.sort((a, b) => (b.created || b.started) - (a.created || a.started));
  if (rows.length === 0) {
    throw new Error(trans.__('There is no run with which that can be done.'));
  }
  const items = rows.map(row => `${row.path} · ${standing(row)}`);
  const result = await InputDialog.getItem({ title: question, items });
  return result.button.accept && result.value !== null ? rows[items.indexOf(result.value)] : undefined;
}
