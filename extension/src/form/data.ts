import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog } from '@jupyterlab/filebrowser';

import type { IData } from '../contract';
import type { Server } from '../server';
import { language, trans } from '../translation';
import type { Values } from './schema';

/** What the server is not asked about: the demo, and what does not lie below its root. */
const ELSEWHERE = /^(demo$|[/~]|hf:|[a-z]+:\/\/|\s*$)/i;

/** Let the user choose a table or a folder; its path, or undefined. */
async function chooseData(manager: IDocumentManager, folder: string): Promise<string | undefined> {
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

/** What a form asks of its data: to choose it, and to look at it. Paths are those of a notebook in a folder. */
export interface IDataSource {
  readonly browse: () => Promise<Values | undefined>;
  readonly look: (data: string) => Promise<IData | undefined>;
}

/** The data of a notebook in a folder of the server. */
export function dataSource(server: Server, manager: IDocumentManager, folder: string): IDataSource {
  return {
    browse: async () => {
      const path = await chooseData(manager, folder);
      return path === undefined ? undefined : { data: PathExt.relative(folder || '.', path) || '.' };
    },
    look: async data => {
      const path = PathExt.join(folder, data);
      return ELSEWHERE.test(data) || path.startsWith('..') ? undefined : server.data(path === '.' ? '' : path, folder);
    }
  };
}
