import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, Notification, WidgetTracker } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

import { commandIds } from '../commands';
import type { IForm } from '../contract';
import { dataSource } from '../form/data';
import { FormPanel, IFormSource } from '../form/panel';
import { changed, Values } from '../form/schema';
import { sweepOf } from '../form/search';
import { tunebookIcon } from '../icons';
import { announce, complain } from '../notifications';
import type { Server } from '../server';
import { trans } from '../translation';
import { parametersSource, takesParameters, taskOf, writeParameters } from './cell';
import { runPath } from './status';

export interface INotebookParts {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
  readonly notebooks: INotebookTracker;
  readonly documents: IDocumentManager;
  readonly restorer: ILayoutRestorer | null;
}

/** What the control panel under a cell sends to have its parameters written into the notebook. */
const WRITE_EVENT = 'tunebook-write-parameters';
/** What the training bar under a cell sends to have its run resumed, or run again. */
const RUN_EVENT = 'tunebook-run';
/** No parameters cell is this long; anything longer is a mistake. */
const MOST_CHARACTERS = 200_000;

/** The notebook's toolbar buttons, and the way from the control panel to the parameters cell. */
export function addNotebookCommands(parts: INotebookParts): void {
  const { app, server, notebooks } = parts;
  const panelOf = (path: unknown): NotebookPanel | null =>
    typeof path === 'string' && path !== ''
      ? (notebooks.find(panel => panel.context.path === path) ?? null)
      : notebooks.currentWidget;
  const isOurs = (): boolean => notebooks.currentWidget !== null && takesParameters(notebooks.currentWidget);
  const args = { args: { type: 'object' as const, properties: { path: { type: 'string' as const } } } };

  addParametersForm(parts, panelOf, isOurs);
  app.commands.addCommand(commandIds.runNotebook, {
    label: trans.__('Run in background'),
    caption: trans.__('Run this notebook, as it stands, in a process of its own'),
    describedBy: args,
    isVisible: isOurs,
    isEnabled: isOurs,
    execute: async ({ path }) => {
      const panel = panelOf(path);
      if (panel) {
        await runNotebook(app, server, panel).catch(complain);
      }
    }
  });
  const told = (): void => {
    app.commands.notifyCommandChanged(commandIds.parameters);
    app.commands.notifyCommandChanged(commandIds.runNotebook);
  };
  notebooks.currentChanged.connect((_, panel) => {
    told();
    void panel?.context.ready.then(told);
  });
  takePanelsWriting(notebooks);
  takeBarsActions(app, notebooks);
}

async function runNotebook(app: JupyterFrontEnd, server: Server, panel: NotebookPanel): Promise<void> {
  await panel.context.ready;
  if (panel.context.model.dirty) {
    await panel.context.save();
  }
  const job = await server.submit({ notebook: panel.context.localPath });
  announce(app, job.title || PathExt.basename(panel.context.path), false);
}

function addParametersForm(
  parts: INotebookParts,
  panelOf: (path: unknown) => NotebookPanel | null,
  isOurs: () => boolean
): void {
  const { app, documents, restorer } = parts;
  const tracker = new WidgetTracker<MainAreaWidget<FormPanel>>({ namespace: 'tunebook-parameters' });
  const paths = new WeakMap<MainAreaWidget<FormPanel>, string>();
  app.commands.addCommand(commandIds.parameters, {
    label: trans.__('Parameters'),
    caption: trans.__("Open the notebook's parameters cell as a form"),
    describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } },
    isVisible: isOurs,
    isEnabled: args => isOurs() || typeof args.path === 'string',
    execute: async args => {
      let notebook = panelOf(args.path);
      if (!notebook && typeof args.path === 'string') {
        notebook = (documents.openOrReveal(args.path) as NotebookPanel | undefined) ?? null;
      }
      if (!notebook) {
        return undefined;
      }
      await notebook.context.ready;
      const { path } = notebook.context;
      const known = tracker.find(widget => paths.get(widget) === path);
      known?.dispose(); // the cell may have changed since
      const panel = new FormPanel(formSource(parts, notebook, () => widget.dispose()), {});
      const widget = new MainAreaWidget({ content: panel });
      widget.id = `tunebook-parameters:${path}`;
      widget.title.label = trans.__('Parameters of %1', PathExt.basename(path));
      widget.title.caption = path;
      widget.title.icon = tunebookIcon;
      widget.title.closable = true;
      paths.set(widget, path);
      notebook.disposed.connect(() => widget.dispose());
      app.shell.add(widget, 'main', { mode: 'split-right', ref: notebook.id });
      void tracker.add(widget);
      app.shell.activateById(widget.id);
      return widget;
    }
  });
  void restorer?.restore(tracker, {
    command: commandIds.parameters,
    args: widget => ({ path: paths.get(widget) ?? '' }),
    name: widget => widget.id
  });
}

function formSource(parts: INotebookParts, notebook: NotebookPanel, close: () => void): IFormSource {
  const { app, server, documents } = parts;
  const folder = PathExt.dirname(notebook.context.localPath);
  let form: Promise<IForm> = Promise.reject(new Error('not loaded yet'));
  form.catch(() => undefined); // what is wrong shows where the form would be
  const load = (): Promise<IForm> => (form = server.cellForm(taskOf(notebook), parametersSource(notebook)));
  const only = async (values: Values): Promise<Values> => {
    const { defaults, values: cell } = await form;
    return changed(values, { ...defaults, ...cell });
  };
  return {
    load,
    title: trans.__('Parameters of %1', PathExt.basename(notebook.context.path)),
    where: notebook.context.path,
    ...dataSource(server, documents, folder),
    check: async values => {
      const { task } = await form;
      return task ? (await server.check(task, values)).problems : {};
    },
    actions: [
      {
        label: trans.__('Run in background'),
        accent: false,
        searches: true,
        run: async (values, search) => {
          if (notebook.context.model.dirty) {
            await notebook.context.save();
          }
          const sweep = sweepOf(search);
          const job = await server.submit({ notebook: notebook.context.localPath, values: await only(values), sweep });
          announce(app, job.title || notebook.title.label, sweep !== undefined);
        }
      },
      {
        label: trans.__('Write to the notebook'),
        accent: true,
        searches: false,
        run: async values => {
          const source = parametersSource(notebook);
          writeParameters(notebook, await server.writeParameters(taskOf(notebook), source, await only(values)));
          close();
          app.shell.activateById(notebook.id);
        }
      }
    ]
  };
}

/** Take what a training bar in an output asks to have done with its run. */
function takeBarsActions(app: JupyterFrontEnd, notebooks: INotebookTracker): void {
  document.addEventListener(RUN_EVENT, event => {
    const { target, detail } = event as CustomEvent<{ action?: unknown; path?: unknown }>;
    const panel = target instanceof Node ? notebooks.find(known => known.node.contains(target)) : undefined;
    const command = { resume: commandIds.resumeRun, again: commandIds.runAgain }[String(detail?.action)];
    if (!panel || !command) {
      return;
    }
    const path = typeof detail?.path === 'string' ? runPath(panel, detail.path) : undefined;
    if (path === undefined) {
      complain(new Error(trans.__('The run does not lie below the folder that JupyterLab shows.')));
      return;
    }
    void app.commands.execute(command, { path });
  });
}

/** Take what a control panel in an output asks to have written into the parameters cell of its notebook. */
function takePanelsWriting(notebooks: INotebookTracker): void {
  document.documentElement.dataset.tunebookLab = '1';
  document.addEventListener(WRITE_EVENT, event => {
    const { target, detail } = event as CustomEvent<{ source?: unknown }>;
    const source = detail?.source;
    const panel = target instanceof Node ? notebooks.find(known => known.node.contains(target)) : undefined;
    if (!panel || typeof source !== 'string' || source.length > MOST_CHARACTERS) {
      return;
    }
    writeParameters(panel, source);
    event.preventDefault();
    Notification.info(trans.__('The parameters cell is written; undo takes it back.'), { autoClose: 3000 });
  });
}
