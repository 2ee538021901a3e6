/** The head of the panel: what it is, and the recipe as the cell that gives it. */

import { begin, button, make, setText } from './panel-dom';
import { follow, ILive, IRenderContext } from './panel-model';

interface IHeaderState {
  cell: string;
  changes: string;
  live: ILive | null;
}

const EVENT = 'tunebook-write-parameters';
const WORD_FOR = 4000;

/** Draws the head. */
export function renderHeader({ model, el }: IRenderContext): () => void {
  const root = begin(el, 'header');
  const changes = make('span', 'tbp-changes');
  const word = make('span', 'tbp-done', { role: 'status' });
  const source = make('textarea', 'tbp-source', {
    readonly: true,
    spellcheck: 'false',
    'aria-label': 'parameters cell',
    rows: 12,
    hidden: true
  });
  let timer = 0;
  const say = (text: string): void => {
    setText(word, text);
    window.clearTimeout(timer);
    timer = window.setTimeout(() => setText(word, ''), WORD_FOR);
  };
  const show = button('Show cell', 'tbp-quiet', () => {
    source.hidden = !source.hidden;
    show.setAttribute('aria-expanded', String(!source.hidden));
    setText(show, source.hidden ? 'Show cell' : 'Hide cell');
  });
  show.setAttribute('aria-expanded', 'false');
  const copy = button('Copy parameters', '', () => {
    void copyText(source).then(done => say(done ? 'copied' : 'select the text and copy it'));
  });
  const write = button('Write to notebook', 'tbp-main', () => {
    const detail = { source: source.value };
    const event = new CustomEvent(EVENT, { bubbles: true, cancelable: true, composed: true, detail });
    root.dispatchEvent(event);
    say(event.defaultPrevented ? 'written' : 'nothing took it: copy the parameters');
  });
  root.append(
    make('div', 'tbp-bar-line', {}, make('strong', 'tbp-title', {}, 'Control panel'), changes, make('span', 'tbp-spring'), word, show, copy, write),
    source
  );
  const draw = (): void => {
    const state = model.get('state') as IHeaderState;
    setText(changes, state.live ? `drives ${state.live.run}: ${state.live.where}` : state.changes);
    root.classList.toggle('tbp-driving', !!state.live);
    if (source.value !== state.cell) {
      source.value = state.cell;
    }
  };
  const showWrite = (): void => {
    write.hidden = !document.documentElement.dataset.tunebookLab;
  };
  const observer = new MutationObserver(showWrite);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-tunebook-lab'] });
  showWrite();
  draw();
  const endFollow = follow(model, draw);
  const endNames = nameControls(root);
  return () => {
    window.clearTimeout(timer);
    observer.disconnect();
    endFollow();
    endNames();
  };
}

/** Copies by the clipboard, or, where a page may not, by what the browser copies of a selection. */
async function copyText(source: HTMLTextAreaElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(source.value);
    return true;
  } catch {
    source.hidden = false;
    source.select();
    return document.execCommand('copy');
  }
}

/**
 * Gives the names of parameters to ipywidgets' controls: their sliders have none that a screen reader finds.
 * Controls come later than the head, and again when a page is shown anew.
 */
function nameControls(root: HTMLElement): () => void {
  const apply = (): void => {
    const panel = root.closest('.tunebook-panel');
    panel?.querySelectorAll('.tunebook-field').forEach(field => {
      const name = field.querySelector('.tunebook-name')?.textContent ?? '';
      field
        .querySelectorAll('.noUi-handle, input, .widget-toggle-buttons, .jupyter-widget-toggle-buttons')
        .forEach(control => control.getAttribute('aria-label') === name || control.setAttribute('aria-label', name));
      field.querySelectorAll('.tunebook-refused').forEach(line => line.setAttribute('role', 'alert'));
    });
  };
  const observer = new MutationObserver(apply);
  const frame = requestAnimationFrame(() => {
    const panel = root.closest('.tunebook-panel');
    if (panel) {
      observer.observe(panel, { childList: true, subtree: true });
      apply();
    }
  });
  return () => {
    cancelAnimationFrame(frame);
    observer.disconnect();
  };
}
