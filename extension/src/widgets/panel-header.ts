/** The head of the panel: what it is, and the recipe as the cell that gives it. */

import { begin, button, KERNEL_EVENT, Line, make, setText } from './panel-dom';
import { follow, ILive, IRenderContext } from './panel-model';

interface IHeaderState {
  cell: string;
  changes: string;
  said: string;
  undo: string;
  redo: string;
  live: ILive | null;
}

const EVENT = 'tunebook-write-parameters';
const WORD_FOR = 4000;
const GONE = 'The kernel that had this panel is gone, and the panel with it: run its cell again, with the cells above it.';

/** Draws the head; the keys of undo and redo act in the whole panel. */
export function renderHeader({ model, el }: IRenderContext, panel: HTMLElement): () => void {
  const root = begin(el, 'header');
  const changes = make('span', 'tbp-changes');
  const said = make('span', 'tbp-said', { role: 'status' });
  const gone = make('div', 'tbp-kernel', { role: 'alert', hidden: true }, GONE);
  const refused = new Line();
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
  const undo = button('↶', 'tbp-icon', () => model.send({ do: 'undo' }));
  const redo = button('↷', 'tbp-icon', () => model.send({ do: 'redo' }));
  const defaults = button(
    'All defaults',
    'tbp-quiet',
    () => model.send({ do: 'defaults' }),
    'give every control of the panel its default; a second click takes it back'
  );
  const spring = make('span', 'tbp-spring');
  root.append(
    make('div', 'tbp-bar-line', {}, make('strong', 'tbp-title', {}, 'Control panel'), changes, undo, redo, defaults, spring, word, show, copy, write),
    said,
    refused.element,
    gone,
    source
  );
  const nameTurn = (turn: HTMLButtonElement, what: string, words: string): void => {
    turn.disabled = !words;
    turn.title = words ? `${what}: ${words}` : `nothing to ${what}`;
    turn.setAttribute('aria-label', what);
  };
  const draw = (): void => {
    const state = model.get('state') as IHeaderState;
    setText(changes, state.live ? `drives ${state.live.run}: ${state.live.where}` : state.changes);
    root.classList.toggle('tbp-driving', !!state.live);
    setText(said, state.said ? `last change: ${state.said}` : '');
    nameTurn(undo, 'undo', state.live ? '' : state.undo);
    nameTurn(redo, 'redo', state.live ? '' : state.redo);
    defaults.disabled = !!state.live;
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
  const endFollow = follow(model, draw, message => refused.say(String(message.refused ?? ''), true));
  const press = (event: KeyboardEvent): void => {
    const turn = turnOf(event);
    if (turn && !isTyping(event.target)) {
      model.send({ do: turn });
      event.preventDefault();
      event.stopPropagation();
    }
  };
  const mourn = (): void => {
    gone.hidden = false;
    [undo, redo, defaults].forEach(turn => (turn.disabled = true));
  };
  panel.addEventListener('keydown', press);
  panel.addEventListener(KERNEL_EVENT, mourn);
  return () => {
    window.clearTimeout(timer);
    observer.disconnect();
    panel.removeEventListener('keydown', press);
    panel.removeEventListener(KERNEL_EVENT, mourn);
    endFollow();
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

/** Undo and redo as the keyboard says them. */
function turnOf(event: KeyboardEvent): 'undo' | 'redo' | null {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) {
    return null;
  }
  const key = event.key.toLowerCase();
  return key === 'y' || (key === 'z' && event.shiftKey) ? 'redo' : key === 'z' ? 'undo' : null;
}

/** Whether a text is being written, of which the browser takes back the letters. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLInputElement) || !['text', 'search', 'number'].includes(target.type)) {
    return false;
  }
  return target.dataset.shown === undefined ? target.value !== '' : target.value !== target.dataset.shown;
}
