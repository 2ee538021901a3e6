import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
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
import { FormPanel, IFormSource } from './panel';
import { changed, Values } from './schema';
import { sweepOf } from './search';

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
          cwd: { type: 'string', description: 'Folder for the notebook' },
          values: { type: 'object', description: 'Parameters that are not the defaults' }
        }
      }
    },
    execute: async args => {
      const asked = args as unknown as IFormArguments;
      const template = asked.template ?? (await chooseTemplate(server));
      if (!template) {
        return undefined;
      }
      const folder = asked.cwd ?? browser?.model.path ?? '';
      const source = formSource(parts, template, folder, {
        close: () => widget.dispose(),
        title: title => {
          widget.title.label = title;
        }
      });
      const panel = new FormPanel(source, {
        ...parts.preferences.defaults(template),
        ...asked.values
      });
      const widget = new MainAreaWidget({ content: panel });
      widget.id = `tunebook-form-${(number += 1)}`;
      widget.title.label = asked.title || template;
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

function formSource(parts: IFormParts, template: string, folder: string, tab: ITab): IFormSource {
  const { app, server, documents } = parts;
  let form: Promise<IForm> = Promise.reject(new Error('not loaded yet'));
  form.catch(() => undefined); // what is wrong shows where the form would be
  const only = async (values: Values): Promise<Values> => changed(values, (await form).values);
  return {
    load: async () => {
      form = server.templateForm(template);
      const loaded = await form;
      tab.title(loaded.title || template);
      return loaded;
    },
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
          const job = await server.submit({ template, folder, values: await only(values), sweep });
          announce(app, job.title || template, sweep !== undefined);
        }
      },
      {
        label: trans.__('Create notebook'),
        accent: true,
        searches: false,
        run: async values => {
          const path = await server.createNotebook(template, folder, await only(values));
          await app.commands.execute('docmanager:open', { path });
          tab.close();
        }
      }
    ]
  };
}
