/** Tabs, of which a page is made when it is first chosen and stays. */

import { make } from './panel-dom';

let instances = 0;

export class Tabs {
  readonly element: HTMLElement;
  private readonly tabs = new Map<string, HTMLButtonElement>();
  private readonly pages = new Map<string, HTMLElement>();

  constructor(
    private readonly makers: Record<string, (host: HTMLElement) => void>,
    label: string
  ) {
    const id = `tbp-tabs-${++instances}`;
    const list = make('div', 'tbp-tabs', { role: 'tablist', 'aria-label': label });
    this.element = make('div', 'tbp-pages', {}, list);
    Object.keys(makers).forEach((name, number) => {
      const [tabId, pageId] = [`${id}-tab-${number}`, `${id}-page-${number}`];
      const tab = make('button', 'tbp-tab', { type: 'button', role: 'tab', id: tabId, 'aria-controls': pageId }, name);
      tab.addEventListener('click', () => this.choose(name));
      const page = make('div', 'tbp-page', { role: 'tabpanel', id: pageId, 'aria-labelledby': tabId });
      this.tabs.set(name, tab);
      this.pages.set(name, page);
      list.append(tab);
      this.element.append(page);
    });
    list.addEventListener('keydown', event => this.press(event));
  }

  /** Shows a page. */
  choose(name: string): void {
    for (const [other, tab] of this.tabs) {
      const isChosen = other === name;
      tab.setAttribute('aria-selected', String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      this.pages.get(other)!.hidden = !isChosen;
    }
    const page = this.pages.get(name)!;
    if (!page.hasChildNodes()) {
      this.makers[name](page);
    }
  }

  private press(event: KeyboardEvent): void {
    const names = [...this.tabs.keys()];
    const at = names.findIndex(name => this.tabs.get(name) === document.activeElement);
    const steps: Record<string, number> = {
      ArrowRight: (at + 1) % names.length,
      ArrowLeft: (at + names.length - 1) % names.length,
      Home: 0,
      End: names.length - 1
    };
    if (at >= 0 && event.key in steps) {
      const name = names[steps[event.key]];
      this.choose(name);
      this.tabs.get(name)!.focus();
      event.preventDefault();
      event.stopPropagation();
    }
  }
}
