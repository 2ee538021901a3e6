import { Dialog, InputDialog } from '@jupyterlab/apputils';

import type { Server } from '../server';
import { trans } from '../translation';

/** Ask which template to start from; undefined when none was chosen. */
export async function chooseTemplate(server: Server): Promise<string | undefined> {
  const templates = (await server.templates()).filter(template => template.problem === '');
  const result = await InputDialog.getItem({
    title: trans.__('Fine-tune a model'),
    label: trans.__('Template'),
    items: templates.map(template => template.title || template.name),
    okLabel: trans.__('Open form')
  });
  if (!result.button.accept || result.value === null) {
    return undefined;
  }
  return templates.find(template => (template.title || template.name) === result.value)?.name;
}

/** Ask before something that cannot be taken back at once. */
export async function sure(title: string, body: string, ok: string): Promise<boolean> {
  const dialog = new Dialog({
    title,
    body,
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.warnButton({ label: ok })]
  });
  return (await dialog.launch()).button.accept;
}
