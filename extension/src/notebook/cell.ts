import { NotebookPanel } from '@jupyterlab/notebook';

const TAG = 'parameters';

/** The cell that papermill reads: the first code cell tagged `parameters`. */
function parametersCell(panel: NotebookPanel): { index: number; source: string } | undefined {
  const cells = panel.content.model?.sharedModel.cells ?? [];
  const index = cells.findIndex(cell => {
    const tags = cell.getMetadata('tags');
    return cell.cell_type === 'code' && Array.isArray(tags) && tags.includes(TAG);
  });
  return index < 0 ? undefined : { index, source: cells[index].getSource() };
}

/** Whether a notebook takes parameters: it has the cell, or names its task. */
export function takesParameters(panel: NotebookPanel): boolean {
  return taskOf(panel) !== '' || parametersCell(panel) !== undefined;
}

/** The text of the parameters cell; empty when there is none. */
export function parametersSource(panel: NotebookPanel): string {
  return parametersCell(panel)?.source ?? '';
}

/** The task that a notebook's metadata names; empty when it names none. */
export function taskOf(panel: NotebookPanel): string {
  const ours = panel.content.model?.sharedModel.getMetadata('tunebook') as { task?: unknown } | undefined;
  return typeof ours?.task === 'string' ? ours.task : '';
}

/**
 * Write the parameters cell, through the model that is shared with all who edit the notebook: it can be undone,
 * and needs no kernel. A notebook without the cell gets one at its top.
 */
export function writeParameters(panel: NotebookPanel, source: string): void {
  const shared = panel.content.model?.sharedModel;
  if (!shared) {
    return;
  }
  const found = parametersCell(panel);
  if (found) {
    shared.cells[found.index].setSource(source);
  } else {
    shared.insertCell(0, { cell_type: 'code', source, metadata: { tags: [TAG] } });
  }
  const index = found?.index ?? 0;
  panel.content.activeCellIndex = index;
  void panel.content.scrollToItem(index);
}
