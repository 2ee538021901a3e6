import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { commandIds } from '../commands';
import type { IForm } from '../contract';
import { templateIcon, tunebookIcon } from '../icons';
import { announce } from '../notifications';
import type { IPreferences } from '../preferences';
import type { Server } from '../server';
import { trans } from '../translation';
import { chooseTemplate } from './choice';
import { dataSource } from './data';
import type { IOrigin } from './again';
import { FormPanel, IFormSource } from './panel';
import { changed, Values } from './schema';
import { ISearch, sweepOf } from './search';

export interface IFormParts {
  readonly app: JupyterFrontEnd;
  readonly server: Server;
  readonly documents: IDocumentManager;
  readonly browser: IDefaultFileBrowser | null;
  readonly preferences: IPreferences;
  readonly restorer: ILayoutRestorer | null;
}

interface IFormArguments {
  readonly template?: string;
  /** The notebook of a run, in place of a template, and what its copy is called. */
  readonly notebook?: string;
  readonly notebookName?: string;
  readonly origin?: IOrigin;
  readonly search?: ISearch | null;
  readonly cwd?: string;
  readonly values?: Values;
  readonly icon?: string;
  readonly title?: string;
}

/** Make the command that opens a template's form, and keep its forms over a reload. */
export function addForms(parts: IFormParts): void {
  const { app, server, browser, restorer } = parts;
  const tracker = new WidgetTracker<MainAreaWidget<FormPanel>>({ namespace: 'tunebook-form' });
  const given = new WeakMap<MainAreaWidget<FormPanel>, IFormArguments>();
  let number = 0;

  app.commands.addCommand(commandIds.form, {
    label: args => String(args.title ?? '') || trans.__('Fine-tune a model…'),
    caption: args => String(args.summary ?? '') || trans.__('Start a notebook from a template'),
    icon: args => (args.template ? templateIcon(String(args.icon), String(args.template)) : tunebookIcon),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          template: { type: 'string', description: 'Name of the template; asked for when it is missing' },
          notebook: { type: 'string', description: 'Path of the notebook of a run, in place of a template' },
          cwd: { type: 'string', description: 'Folder for the notebook' },
          values: { type: 'object', description: 'Parameters that are not the defaults' }
        }
      }
    },
    execute: async args => {
      const asked = args as unknown as IFormArguments;
      const template = asked.template || (asked.notebook ? '' : await chooseTemplate(server));
      if (template === undefined) {
        return undefined;
      }
      const folder = asked.cwd ?? browser?.model.path ?? '';
      const source = formSource(parts, { ...asked, template }, folder, {
        close: () => widget.dispose(),
        title: title => {
          widget.title.label = title;
        }
      });
      const panel = new FormPanel(source, {
        // A run again is that run, and not what somebody prefers since.
        ...(asked.origin ? {} : parts.preferences.defaults(template)),
        ...asked.values
      });
      const widget = new MainAreaWidget({ content: panel });
      widget.id = `tunebook-form-${(number += 1)}`;
      widget.title.label = asked.title || template || PathExt.basename(asked.notebook ?? '');
      widget.title.caption = trans.__('Parameters of a new notebook');
      widget.title.icon = templateIcon(String(asked.icon), template);
      widget.title.closable = true;
      given.set(widget, { ...asked, template, cwd: folder });
      panel.edited.connect(() => void tracker.save(widget));
      app.shell.add(widget, 'main');
      void tracker.add(widget);
      app.shell.activateById(widget.id);
      return widget;
    }
  });
  void restorer?.restore(tracker, {
    command: commandIds.form,
    args: widget =>
      ({ ...given.get(widget), values: widget.content.current }) as unknown as ReadonlyPartialJSONObject,
    name: widget => widget.id
  });
}

/** What a form does to the tab that it stands in. */
interface ITab {
  readonly close: () => void;
  readonly title: (title: string) => void;
}

function formSource(parts: IFormParts, asked: IFormArguments, folder: string, tab: ITab): IFormSource {
  const { app, server, documents } = parts;
  const { template = '', notebook = '', origin } = asked;
  const from = notebook ? { notebook, name: asked.notebookName || 'notebook' } : { template };
  const job = notebook ? { notebook } : { template };
  let form: Promise<IForm> = Promise.reject(new Error('not loaded yet'));
  form.catch(() => undefined); // what is wrong shows where the form would be
  const only = async (values: Values): Promise<Values> => changed(values, (await form).values);
  return {
    load: async () => {
      form = notebook ? server.notebookForm(notebook) : server.templateForm(template);
      const loaded = await form;
      if (!origin) {
        tab.title(loaded.title || template);
      }
      return loaded;
    },
    title: origin ? trans.__('%1 again', origin.name) : undefined,
    origin,
    startSearch: asked.search ?? undefined,
    where: folder ? trans.__('in %1', folder) : '',
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
          const sweep = sweepOf(search);
          const queued = await server.submit({ ...job, folder, values: await only(values), sweep });
          announce(app, queued.title || template, sweep !== undefined);
        }
      },
      {
        label: trans.__('Create notebook'),
        accent: true,
        searches: false,
        run: async values => {
          const path = await server.createNotebook(from, folder, await only(values));
          await app.commands.execute('docmanager:open', { path });
          tab.close();
        }
      }
    ]
  };
}
