import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { IThemeManager, MainAreaWidget, Notification, WidgetTracker } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { commandIds } from '../commands';
import { curvesIcon } from '../icons';
import type { RunActions } from '../runs/actions';
import type { Server } from '../server';
import { trans } from '../translation';
import { nameOf, RunPage } from './page';

export interface IPagePlugin {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
  readonly actions: RunActions;
  readonly themes: IThemeManager | null;
  readonly restorer: ILayoutRestorer | null;
  readonly rendermime: IRenderMimeRegistry | null;
}

/** So many runs are compared at once. */
const MOST_COMPARED = 20;

function titleOf(paths: readonly string[]): string {
  const names = paths.map(nameOf);
  return names.length > 2 ? trans.__('%1 runs: %2', names.length, names.join(', ')) : names.join(trans.__(' against '));
}

/** Make the command that opens runs in the main area, and keep their pages over a reload. */
export function addPages(plugin: IPagePlugin): void {
  const { app, server, actions, themes, restorer, rendermime } = plugin;
  const card = rendermime ? { contents: app.serviceManager.contents, rendermime } : undefined;
  const tracker = new WidgetTracker<MainAreaWidget<RunPage>>({ namespace: 'tunebook-page' });
  const isDark = (): boolean => themes?.theme != null && !themes.isLight(themes.theme);
  const run = (path: string): void => void app.commands.execute(commandIds.openRun, { paths: [path] });
  const open = (path: string): void => void app.commands.execute('docmanager:open', { path });

  app.commands.addCommand(commandIds.openRun, {
    label: trans.__('Open a run'),
    icon: curvesIcon,
    describedBy: {
      args: {
        type: 'object',
        required: ['paths'],
        properties: { paths: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 1000 } }
      }
    },
    isVisible: args => Array.isArray(args.paths),
    execute: args => {
      const asked = [...new Set((args.paths as string[]).map(String))];
      const paths = asked.slice(0, MOST_COMPARED);
      if (asked.length > paths.length) {
        const said = trans.__('The first %1 of %2 runs are compared; more cannot be told apart.', paths.length, asked.length);
        Notification.warning(said, { autoClose: 8000 });
      }
      const id = `tunebook-page:${JSON.stringify(paths)}`;
      let widget = tracker.find(known => known.id === id);
      if (!widget) {
        const page = new RunPage({ server, actions, open, openRun: run, isDark, card }, paths);
        widget = new MainAreaWidget({ content: page });
        widget.id = id;
        widget.title.label = titleOf(paths);
        widget.title.caption = paths.join('\n');
        widget.title.icon = curvesIcon;
        widget.title.closable = true;
        app.shell.add(widget, 'main');
        void tracker.add(widget);
      }
      app.shell.activateById(widget.id);
      return widget;
    }
  });
  themes?.themeChanged.connect(() => tracker.forEach(widget => widget.content.update()));
  void restorer?.restore(tracker, {
    command: commandIds.openRun,
    args: widget => ({ paths: [...widget.content.paths] }),
    name: widget => widget.id
  });
}
