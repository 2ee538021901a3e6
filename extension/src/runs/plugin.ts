import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';

import { commandIds } from '../commands';
import { tunebookIcon } from '../icons';
import { complain } from '../notifications';
import type { Preferences } from '../preferences';
import type { Server } from '../server';
import { trans } from '../translation';
import { RunActions } from './actions';
import type { IView } from './entries';
import { IRemembered, RunsPanel } from './panel';
import { addRunCommands } from './run-commands';
import { RunStore } from './store';
import { tellEnds } from './ends';

export interface IRunsParts {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
  readonly preferences: Preferences;
  readonly restorer: ILayoutRestorer | null;
  readonly state: IStateDB | null;
}

const STATE = 'tunebook:runs-view';

/** Put the runs into the left side bar; what can be done with them is returned for their pages. */
export function addRuns(parts: IRunsParts): RunActions {
  const { app, server, preferences, restorer } = parts;
  const store = new RunStore(server, preferences);
  const actions = new RunActions(app, server, store);
  const panel = new RunsPanel(store, actions, remembered(parts.state));
  app.shell.add(panel, 'left', { rank: 350, type: 'Runs' });
  restorer?.add(panel, panel.id);
  app.commands.addCommand(commandIds.showRuns, {
    label: trans.__('Show runs'),
    icon: tunebookIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.shell.activateById(panel.id)
  });
  app.commands.addCommand(commandIds.refresh, {
    label: trans.__('Refresh runs'),
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => store.refresh()
  });
  addRunCommands(parts, store, actions);
  addQueueCommands(parts);
  tellEnds(app, store);
  return actions;
}

function addQueueCommands({ app, server, preferences }: IRunsParts): void {
  app.commands.addCommand(commandIds.limit, {
    label: trans.__('Set how many background runs may run at once…'),
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const { max_running } = await server.status();
      const result = await InputDialog.getNumber({
        title: trans.__('Background runs at once'),
        value: max_running,
        okLabel: trans.__('Set')
      });
      if (result.button.accept && result.value !== null) {
        await server.setQueue({ max_running: Math.max(1, Math.round(result.value)) }).catch(complain);
      }
    }
  });
  app.commands.addCommand(commandIds.hold, {
    label: args => (args.held === false ? trans.__('Let background runs start again') : trans.__('Hold background runs')),
    describedBy: { args: { type: 'object', properties: { held: { type: 'boolean' } } } },
    execute: args => server.setQueue({ held: args.held !== false }).catch(complain)
  });
  let applied = 0;
  preferences.changed.connect(() => {
    if (preferences.limit > 0 && preferences.limit !== applied) {
      applied = preferences.limit;
      // Without the server half the side bar says so already.
      void server.setQueue({ max_running: preferences.limit }).catch(() => undefined);
    }
  });
}

function remembered(state: IStateDB | null): IRemembered {
  return {
    load: async () => (await state?.fetch(STATE)) as unknown as IView | undefined,
    save: view => void state?.save(STATE, { ...view })
  };
}
