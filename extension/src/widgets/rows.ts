/** Rows of one height, of which those in sight are in the document. */

import { make } from './panel-dom';

export interface IRowSource {
  /** Number of rows. */
  count(): number;
  /** What a place in the list shows, so that an element stays with it. */
  key(place: number): number;
  create(key: number): HTMLElement;
  update(element: HTMLElement, key: number, place: number): void;
}

/** Rows beyond what is in sight, so that scrolling shows no gaps. */
const SPARE = 8;

export class VirtualRows {
  readonly element: HTMLElement;
  private readonly body: HTMLElement;
  private readonly shown = new Map<number, HTMLElement>();
  private frame = 0;

  constructor(
    private readonly source: IRowSource,
    private readonly height: number,
    private readonly most: number
  ) {
    this.body = make('div', 'tbp-rows', { role: 'rowgroup' });
    this.element = make('div', 'tbp-scroller', { role: 'presentation' }, this.body);
    this.element.addEventListener('scroll', () => this.schedule(), { passive: true });
  }

  /** Draws after the frame under way. */
  schedule(): void {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.render();
      });
    }
  }

  /** Draws now. */
  render(): void {
    const count = this.source.count();
    const seen = Math.min(count, this.most) * this.height;
    this.element.style.height = `${seen}px`;
    this.body.style.height = `${count * this.height}px`;
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.height) - SPARE);
    const last = Math.min(count, Math.ceil((this.element.scrollTop + seen) / this.height) + SPARE);
    const wanted = new Set<number>();
    let before: Element | null = null;
    for (let place = first; place < last; place++) {
      const key = this.source.key(place);
      wanted.add(key);
      let row = this.shown.get(key);
      if (!row) {
        row = this.source.create(key);
        row.style.height = `${this.height}px`;
        this.shown.set(key, row);
      }
      row.style.transform = `translateY(${place * this.height}px)`;
      row.dataset.place = String(place);
      this.source.update(row, key, place);
      // A screen reader goes by the order in the document.
      const next: Element | null = before ? before.nextElementSibling : this.body.firstElementChild;
      if (next !== row) {
        this.body.insertBefore(row, next);
      }
      before = row;
    }
    for (const [key, row] of this.shown) {
      if (!wanted.has(key)) {
        row.remove();
        this.shown.delete(key);
      }
    }
  }

  /** Scrolls as little as shows a place. */
  reveal(place: number): void {
    const top = place * this.height;
    const room = Math.min(this.source.count(), this.most) * this.height;
    if (top < this.element.scrollTop) {
      this.element.scrollTop = top;
    } else if (top + this.height > this.element.scrollTop + room) {
      this.element.scrollTop = top + this.height - room;
    }
    this.render();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
  }
}
