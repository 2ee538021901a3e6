import { Dialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import type { INotes, IRunRow } from '../contract';
import { trans } from '../translation';

/** The tags and the note of a run, where it is shown at length. */
export function RunNotes(props: { row: IRunRow; find?: (tag: string) => void }): JSX.Element | null {
  const { row, find } = props;
  if (row.tags.length === 0 && row.note === '') {
    return null;
  }
  return (
    <div className="jp-Tunebook-Notes">
      {row.tags.length > 0 && (
        <div className="jp-Tunebook-Tags">
          {row.tags.map(tag =>
            find ? (
              <button
                type="button"
                className="jp-Tunebook-Tag"
                key={tag}
                title={trans.__('List the runs with this tag')}
                onClick={() => find(tag)}
              >
                {tag}
              </button>
            ) : (
              <span className="jp-Tunebook-Tag" key={tag}>
                {tag}
              </span>
            )
          )}
        </div>
      )}
      {row.note && <p className="jp-Tunebook-Note">{row.note}</p>}
    </div>
  );
}

/** What the dialog for notes asks for. */
class NotesForm extends Widget implements Dialog.IBodyWidget<INotes> {
  constructor(private readonly row: IRunRow) {
    super();
    this.addClass('jp-Tunebook-NotesForm');
    this.tags.type = 'text';
    this.tags.className = 'jp-mod-styled';
    this.tags.value = row.tags.join(', ');
    this.tags.placeholder = trans.__('paper, for Ann');
    this.note.className = 'jp-mod-styled';
    this.note.rows = 6;
    this.note.maxLength = 4000;
    this.note.value = row.note;
    this.node.append(
      labelled(trans.__('Tags, with commas between them'), this.tags),
      labelled(trans.__('Note'), this.note)
    );
  }

  getValue(): INotes {
    const tags = this.tags.value.split(/[,;]/).map(tag => tag.trim().replace(/^#/, ''));
    return { star: this.row.star, tags: tags.filter(Boolean), note: this.note.value };
  }

  private readonly tags = document.createElement('input');
  private readonly note = document.createElement('textarea');
}

function labelled(text: string, control: HTMLElement): HTMLElement {
  const label = document.createElement('label');
  label.append(text, control);
  return label;
}

/** A dialog in which Enter ends a line of the note, and nothing else. */
class NotesDialog extends Dialog<INotes> {
  protected _evtKeydown(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || !(event.target instanceof HTMLTextAreaElement)) {
      super._evtKeydown(event);
    }
  }
}

/** Let a person write tags and a note; undefined where the dialog was left. */
export async function askNotes(row: IRunRow): Promise<Partial<INotes> | undefined> {
  const dialog = new NotesDialog({
    title: trans.__('Tags and note of %1', row.name),
    body: new NotesForm(row),
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: trans.__('Keep') })]
  });
  const { button, value } = await dialog.launch();
  return button.accept && value ? { tags: value.tags, note: value.note } : undefined;
}
