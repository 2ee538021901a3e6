import { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, InputDialog } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { commandIds } from './commands';
import type { ITemplate } from './contract';
import { tunebookIcon } from './icons';
import { complain } from './notifications';
import { missingText, Server, ServerError } from './server';
import { trans } from './translation';

const RANK = 10;

/** Put a card for each template into the launcher, between notebooks and consoles. */
export async function addCards(server: Server, launcher: ILauncher): Promise<void> {
  const category = trans.__('Fine-tuning');
  const card = (rank: number, args: ReadonlyPartialJSONObject): void => {
    launcher.add({
      command: commandIds.form,
      args: args as ReadonlyJSONObject,
      category,
      rank,
      categoryRank: RANK
    });
  };
  let templates: readonly ITemplate[];
  try {
    templates = await server.templates();
  } catch (error) {
    if (error instanceof ServerError && error.missing) {
      card(0, { template: '-', title: trans.__('Fine-tune a model'), summary: missingText() });
    }
    return;
  }
  // A template that tunes one model comes before those that start many runs, or do something of the user's own.
  const order = [...templates].sort((a, b) => Number(a.task === '') - Number(b.task === ''));
  order.forEach((template, rank) => card(rank, cardArguments(template)));
}

function cardArguments(template: ITemplate): ReadonlyPartialJSONObject {
  const { name, title, summary, icon, problem } = template;
  return { template: name, title: title || name, summary: problem || summary, icon };
}

/** Make the command behind the file browser's "Fine-tune on this". */
export function addFineTuneOn(app: JupyterFrontEnd, server: Server, browser: IDefaultFileBrowser | null): void {
  app.commands.addCommand(commandIds.fineTuneOn, {
    label: trans.__('Fine-tune on this'),
    caption: trans.__('Open the form of a template with this folder or table as its data'),
    icon: tunebookIcon,
    describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } },
    execute: async args => {
      const path = args.path === undefined ? selected(browser) : String(args.path);
      if (path === undefined) {
        return;
      }
      const folder = browser?.model.path ?? '';
      try {
        await openOn(app, server, path, folder);
      } catch (error) {
        complain(error);
      }
    }
  });
}

async function openOn(app: JupyterFrontEnd, server: Server, path: string, folder: string): Promise<void> {
  const [data, templates] = await Promise.all([server.data(path, folder), server.templates()]);
  if (data.suggestions.length === 0) {
    const why = trans.__('%1 is neither a folder with a folder of pictures for each class nor a table', path);
    throw new ServerError(data.summary ? `${why}: ${data.summary}` : why, 400);
  }
  const titleOf = (name: string): string => templates.find(one => one.name === name)?.title || name;
  let suggestion = data.suggestions[0];
  if (data.suggestions.length > 1) {
    const items = data.suggestions.map(one => titleOf(one.template));
    const result = await InputDialog.getItem({ title: data.summary || path, label: trans.__('Template'), items });
    if (!result.button.accept || result.value === null) {
      return;
    }
    suggestion = data.suggestions[Math.max(0, items.indexOf(result.value))];
  }
  const template = templates.find(one => one.name === suggestion.template);
  const known = template ? cardArguments(template) : { template: suggestion.template };
  await app.commands.execute(commandIds.form, { ...known, cwd: folder, values: suggestion.values as ReadonlyPartialJSONObject });
}

function selected(browser: IDefaultFileBrowser | null): string | undefined {
  const item = browser?.selectedItems().next();
  return item && !item.done ? item.value.path : undefined;
}

/** List the commands that start something in the command palette. */
export function addToPalette(palette: ICommandPalette, ids: readonly string[], args?: ReadonlyJSONObject): void {
  const category = trans.__('Fine-tuning');
  for (const command of ids) {
    palette.addItem({ command, category, args });
  }
}
