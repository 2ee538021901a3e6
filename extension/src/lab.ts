import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { Contents, IDefaultDrive } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator } from '@jupyterlab/translation';

import { commandIds } from './commands';
import { addEventFiles } from './events/plugin';
import { addForms } from './form/plugin';
import { addNotebookCommands } from './notebook/plugin';
import { addCurvesOutput } from './outputs/curves';
import { addWidgetFallback } from './outputs/fallback';
import { addPages } from './page/plugin';
import { addNotebookStatus } from './notebook/status';
import { Preferences } from './preferences';
import { addRuns } from './runs/plugin';
import { Server } from './server';
import { addCards, addFineTuneOn, addToPalette } from './templates';
import { useLanguage } from './translation';

/** What notebooks show that was kept in them: needs neither the server half nor the rest. */
export const outputs: JupyterFrontEndPlugin<void> = {
  id: 'tunebook:outputs',
  description: 'Curves kept in notebooks, and pictures in place of widgets that are gone.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookTracker, ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ) => {
    useLanguage(translator);
    addCurvesOutput(rendermime);
    if (notebooks) {
      addWidgetFallback(notebooks);
    }
  }
};

/** Launcher, forms, runs and training logs. */
export const lab: JupyterFrontEndPlugin<void> = {
  id: 'tunebook:plugin',
  description: 'Fine-tuning from the launcher to the finished run.',
  autoStart: true,
  requires: [INotebookTracker, IDocumentManager],
  optional: [
    ILauncher,
    ICommandPalette,
    ISettingRegistry,
    ITranslator,
    IThemeManager,
    ILayoutRestorer,
    IDefaultFileBrowser,
    IDefaultDrive,
    IStateDB,
    IRenderMimeRegistry,
    IStatusBar
  ],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker,
    documents: IDocumentManager,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
    translator: ITranslator | null,
    themes: IThemeManager | null,
    restorer: ILayoutRestorer | null,
    browser: IDefaultFileBrowser | null,
    drive: Contents.IDrive | null,
    state: IStateDB | null,
    rendermime: IRenderMimeRegistry | null,
    status: IStatusBar | null
  ) => {
    useLanguage(translator);
    const server = new Server(app.serviceManager.serverSettings);
    const preferences = new Preferences();
    addForms({ app, server, documents, browser, preferences, restorer });
    addFineTuneOn(app, server, browser);
    const actions = addRuns({ app, server, preferences, restorer, state });
    addPages({ app, server, actions, themes, restorer, rendermime });
    addEventFiles(app, server, drive, restorer);
    addNotebookCommands({ app, server, notebooks, documents, restorer });
    addNotebookStatus({ app, server, notebooks, status });
    if (launcher) {
      void addCards(server, launcher);
    }
    if (palette) {
      const { form, showRuns, refresh, parameters, runNotebook, limit } = commandIds;
      const { resumeRun, runAgain, starRun, noteRun } = commandIds;
      addToPalette(palette, [form, showRuns, refresh, parameters, runNotebook, limit]);
      addToPalette(palette, [resumeRun, runAgain, starRun, noteRun], { palette: true });
      addToPalette(palette, [commandIds.hold], { held: true });
      addToPalette(palette, [commandIds.hold], { held: false });
    }
    if (settings) {
      preferences.load(settings, lab.id).catch(error => console.warn('Tunebook: no settings:', error));
    }
  }
};
