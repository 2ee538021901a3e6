import { Dialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import { trans } from '../translation';

/** Show the end of what a background run printed. */
export async function showLog(name: string, text: string): Promise<void> {
  const body = new Widget();
  body.addClass('jp-Tunebook-Log');
  const lines = document.createElement('pre');
  lines.textContent = text || trans.__('It has printed nothing yet.');
  lines.tabIndex = 0;
  body.node.append(lines);
  requestAnimationFrame(() => (lines.scrollTop = lines.scrollHeight));
  await new Dialog({
    title: trans.__('Log of %1', name),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  }).launch();
}
