/** The bar of a row over the epochs: from when it trains, and its change by dragging. */

import { make } from './panel-dom';
import { FROZEN, ILayerState, PARTLY, startWords } from './layer-state';

/** Draws when a row trains. */
export function drawTimeline(host: HTMLElement, state: ILayerState, row: number): void {
  const key = state.phases.map(phase => `${phase.epoch}${phase.rows[row]}`).join() + `/${state.epochs}`;
  if (host.dataset.drawn === key) {
    return;
  }
  host.dataset.drawn = key;
  host.replaceChildren();
  state.phases.forEach((phase, number) => {
    const end = Math.min(state.phases[number + 1]?.epoch ?? state.epochs, state.epochs);
    if (phase.rows[row] !== FROZEN && end > phase.epoch) {
      const bar = make('span', phase.rows[row] === PARTLY ? 'tbp-span tbp-span-part' : 'tbp-span');
      bar.style.left = `${(100 * phase.epoch) / state.epochs}%`;
      bar.style.width = `${(100 * (end - phase.epoch)) / state.epochs}%`;
      host.append(bar);
    }
  });
}

/** Lets a hand drag the beginning of a row's bar. */
export class TimelineDrag {
  private host: HTMLElement | null = null;
  private row = -1;
  private ghost = make('span', 'tbp-ghost', { 'aria-hidden': 'true' });

  constructor(
    private readonly state: () => ILayerState,
    private readonly say: (text: string) => void,
    private readonly done: (row: number, epoch: number | null) => void
  ) {}

  begin(event: PointerEvent, host: HTMLElement, row: number): void {
    this.host = host;
    this.row = row;
    host.setPointerCapture(event.pointerId);
    const move = (next: PointerEvent): void => this.move(next);
    const end = (last: PointerEvent): void => {
      host.removeEventListener('pointermove', move);
      host.removeEventListener('pointerup', end);
      host.removeEventListener('pointercancel', end);
      this.ghost.remove();
      this.say('');
      if (last.type === 'pointerup') {
        this.done(this.row, this.epoch(last));
      }
      this.host = null;
    };
    host.addEventListener('pointermove', move);
    host.addEventListener('pointerup', end);
    host.addEventListener('pointercancel', end);
    host.append(this.ghost);
    this.move(event);
    event.preventDefault();
  }

  private epoch(event: PointerEvent): number | null {
    const { left, width } = this.host!.getBoundingClientRect();
    const epochs = this.state().epochs;
    const at = Math.floor(((event.clientX - left) / Math.max(width, 1)) * epochs);
    return at >= epochs ? null : Math.max(at, 0);
  }

  private move(event: PointerEvent): void {
    const epoch = this.epoch(event);
    const epochs = this.state().epochs;
    this.ghost.style.left = `${(100 * (epoch ?? epochs)) / epochs}%`;
    this.say(startWords(epoch));
  }
}
