/** Elements made from names and texts; a text is never read as HTML. */

/** What the panel's root hears when the kernel goes. */
export const KERNEL_EVENT = 'tunebook-kernel';

const FOCUSED = new Set(['button', 'input', 'summary', 'textarea']);

type Attributes = Record<string, string | number | boolean | undefined>;

/** Makes an element; `true` is an attribute without a value, `false` and `undefined` leave it out. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? '' : String(value));
    }
  }
  if (attributes.tabindex !== undefined || FOCUSED.has(tag)) {
    // Lab asks the focused element itself, before those around it, whether a key is one of its shortcuts.
    made.setAttribute('data-lm-suppress-shortcuts', 'true');
  }
  made.append(...children);
  return made;
}

/** Makes a button with a text. */
export function button(text: string, className: string, onClick: () => void, title = ''): HTMLButtonElement {
  const made = make('button', `tbp-button ${className}`, { type: 'button', title: title || undefined }, text);
  made.addEventListener('click', onClick);
  return made;
}

/** Sets a text where it is another one, so that nothing is announced or drawn for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Begins a part of the panel: its own style, and its keys kept from the notebook. */
export function begin(host: HTMLElement, name: string): HTMLElement {
  const root = make('div', `tbp tbp-${name}`, { 'data-lm-suppress-shortcuts': 'true' });
  host.append(root);
  return root;
}

/** Marks an element as narrow while it is below a width; returns what ends that. */
export function watchWidth(element: HTMLElement, narrow: number, onChange: () => void = () => undefined): () => void {
  const observer = new ResizeObserver(() => {
    const width = element.clientWidth;
    if (width > 0) {
      element.classList.toggle('tbp-narrow', width < narrow);
      onChange();
    }
  });
  observer.observe(element);
  return () => observer.disconnect();
}

/** Writes a whole number with its thousands apart. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Writes a count in few signs: 1.7 M. */
export function short(value: number): string {
  if (value < 1000) {
    return whole(value);
  }
  const [size, unit] = value < 1e6 ? [1e3, 'k'] : value < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  const part = value / size;
  return `${part < 100 ? part.toPrecision(2) : part.toFixed(0)} ${unit}`;
}

/** Writes a share of 1 in per cent. */
export function percent(share: number): string {
  return share > 0 && share < 0.001 ? '<0.1 %' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/**
 * Calls back with what was entered, by Enter or by leaving the box.
 *
 * A notebook may keep Enter from the browser, which then tells of no change.
 */
export function onEntered(box: HTMLInputElement, act: (value: string) => void): void {
  let typed = false;
  const enter = (): void => {
    if (typed) {
      typed = false;
      // What is entered is no longer being written: what comes back may take its place, and Ctrl+Z is the panel's.
      box.dataset.shown = box.value;
      act(box.value);
    }
  };
  box.addEventListener('input', () => {
    typed = true;
  });
  box.addEventListener('change', enter);
  box.addEventListener('keydown', event => {
    if (event.key === 'Enter') {
      enter();
      event.stopPropagation();
    }
  });
}

/** A line beside a control, for what was refused and for what would happen. */
export class Line {
  readonly element = make('div', 'tbp-line', { role: 'status', 'aria-live': 'polite' });

  say(text: string, refused = false): void {
    this.element.classList.toggle('tbp-refused', refused && text !== '');
    setText(this.element, text);
  }
}
