import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog } from '@jupyterlab/filebrowser';

import type { Server } from '../server';
import { language, trans } from '../translation';
import type { Values } from './schema';

/** Let the user choose a table or a folder; its path, or undefined. */
export async function chooseData(manager: IDocumentManager, folder: string): Promise<string | undefined> {
  const result = await FileDialog.getOpenFiles({
    manager,
    title: trans.__('A table, or a folder with a folder for each class'),
    label: trans.__('With nothing selected, the folder that is open is taken'),
    defaultPath: folder,
    translator: language()
  });
  const chosen = result.value?.[0];
  return result.button.accept && chosen ? chosen.path : undefined;
}

/** The values that follow from a choice of data: its path from the notebook, and the columns of a table. */
export async function valuesFor(server: Server, path: string, folder: string, template: string): Promise<Values> {
  try {
    const { suggestions } = await server.data(path, folder);
    const own = suggestions.find(one => one.template === template) ?? suggestions[0];
    if (own) {
      return own.values;
    }
  } catch {
    // The path alone still says what was chosen; what is wrong with it is said when it is used.
  }
  return { data: PathExt.relative(folder || '.', path) || '.' };
}
