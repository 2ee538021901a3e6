/** The phases of gradual unfreezing, as chips: which one the tree shows, from which epoch, and what trains in it. */

import { button, make, onEntered } from './panel-dom';
import type { ILayerState } from './layer-state';

export interface IPlanActions {
  select(phase: number): void;
  add(epoch: number): void;
  move(phase: number, epoch: number): void;
  remove(phase: number): void;
}

export class PlanChips {
  readonly element = make('div', 'tbp-phases', { role: 'group', 'aria-label': 'phases of the plan' });
  private drawn = '';

  constructor(private readonly actions: IPlanActions) {}

  draw(state: ILayerState, selected: number): void {
    const key = JSON.stringify([state.phases.map(p => [p.epoch, p.words]), state.epochs, selected, !!state.live]);
    if (key === this.drawn) {
      return;
    }
    this.drawn = key;
    const active = this.element.contains(document.activeElement) ? document.activeElement : null;
    const focused = active?.getAttribute('data-at') ?? '';
    this.element.replaceChildren(...state.phases.map((_, phase) => this.chip(state, phase, phase === selected)));
    const free = this.freeEpoch(state);
    if (!state.live && free !== null) {
      const title = 'one more stage trains from another epoch on';
      const add = button('+ phase', 'tbp-quiet', () => this.actions.add(free), title);
      add.dataset.at = 'add';
      this.element.append(add);
    }
    this.element.querySelector<HTMLElement>(`[data-at="${focused}"]`)?.focus();
  }

  /** Returns the first epoch behind the last phase, or the first one that is free. */
  private freeEpoch(state: ILayerState): number | null {
    const last = state.phases[state.phases.length - 1].epoch;
    if (last + 1 < state.epochs) {
      return last + 1;
    }
    const taken = new Set(state.phases.map(phase => phase.epoch));
    for (let epoch = 1; epoch < state.epochs; epoch++) {
      if (!taken.has(epoch)) {
        return epoch;
      }
    }
    return null;
  }

  private chip(state: ILayerState, phase: number, selected: boolean): HTMLElement {
    const part = state.phases[phase];
    const when = state.live ? 'now' : phase === 0 ? 'from the start' : 'from epoch';
    const chip = make('span', `tbp-chip${selected ? ' tbp-on' : ''}`);
    const pick = make(
      'button',
      'tbp-pick',
      {
        type: 'button',
        'aria-pressed': String(selected),
        'data-at': `pick${phase}`,
        title: `${part.words}: show and change what trains then`
      },
      make('span', 'tbp-when', {}, when)
    );
    pick.addEventListener('click', () => this.actions.select(phase));
    chip.append(pick);
    if (phase > 0) {
      chip.append(this.epochBox(state, phase));
    }
    const words = make('span', 'tbp-what', { title: part.words }, part.words);
    words.addEventListener('click', () => this.actions.select(phase));
    chip.append(words);
    if (phase > 0) {
      const gone = button('×', 'tbp-gone', () => this.actions.remove(phase), 'take this phase out of the plan');
      gone.setAttribute('aria-label', `take out the phase from epoch ${part.epoch + 1}`);
      gone.dataset.at = `gone${phase}`;
      chip.append(gone);
    }
    return chip;
  }

  private epochBox(state: ILayerState, phase: number): HTMLElement {
    const box = make('input', 'tbp-epoch', {
      type: 'number',
      min: 2,
      max: state.epochs,
      value: state.phases[phase].epoch + 1,
      'aria-label': 'epoch from which it holds',
      'data-at': `epoch${phase}`
    });
    box.dataset.shown = box.value;
    onEntered(box, value => this.actions.move(phase, Math.round(Number(value)) - 1));
    return box;
  }
}
