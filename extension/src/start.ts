import { ILabShell, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
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
      const [open] = documents(shell);
      if (open) {
        // A layout of the last time in which there is a launcher stays as it was left.
        if (!launcherOf(shell)) {
          openBeside(app, shell, open);
        }
      } else if (PageConfig.getOption('treePath')) {
        // The document that the address names is opened after the layout of the last time.
        const wait = (): void => {
          const [first] = documents(shell);
          if (first) {
            shell.layoutModified.disconnect(wait);
            openBeside(app, shell, first);
          }
        };
        shell.layoutModified.connect(wait);
        wait();
      }
    });
  }
};

function openBeside(app: JupyterFrontEnd, shell: ILabShell, first: Widget): void {
  if (window.innerWidth < WIDE) {
    return;
  }
  const known = launcherOf(shell);
  const opened: Promise<Widget> = known
    ? Promise.resolve(known)
    : app.commands.execute('launcher:create', { activate: false });
  void opened.then(launcher => {
    shell.add(launcher, 'main', { mode: 'split-right', ref: first.id, activate: false });
  });
}

function documents(shell: ILabShell): Widget[] {
  return [...shell.widgets('main')].filter(widget => !isLauncher(widget));
}

function launcherOf(shell: ILabShell): Widget | undefined {
  return [...shell.widgets('main')].find(isLauncher);
}

function isLauncher(widget: Widget): boolean {
  return widget.id.startsWith('launcher');
}
