import { ILabShell, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Widget } from '@lumino/widgets';

const ID = 'tunebook:start';

/** Narrower than this, two documents side by side are of no use. */
const WIDE = 1100;

/** Open the launcher beside the document with which JupyterLab starts, where the settings ask for it, as on Binder. */
export const start: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Opens the launcher beside the first document, if asked to.',
  autoStart: true,
  requires: [ILabShell, ISettingRegistry],
  activate: async (app: JupyterFrontEnd, shell: ILabShell, registry: ISettingRegistry) => {
    const settings = await registry.load(ID);
    if (!settings.get('launcher').composite) {
      return;
    }
    void app.restored.then(() => {
      const open = [...shell.widgets('main')];
      const hasLauncher = open.some(widget => widget.id.startsWith('launcher'));
      if (!open.length || hasLauncher || window.innerWidth < WIDE) {
        return;
      }
      const first = shell.currentWidget ?? open[0];
      void app.commands.execute('launcher:create', { activate: false }).then((launcher: Widget) => {
        shell.add(launcher, 'main', { mode: 'split-right', ref: first.id, activate: false });
      });
    });
  }
};
