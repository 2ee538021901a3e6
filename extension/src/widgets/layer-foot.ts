/** Below the tree: freezing by depth and by patterns, and learning rates by stage. */

import { button, make, setText } from './panel-dom';
import { FROZEN, ILayerState } from './layer-state';
import type { LayerTree } from './layer-tree';

const PREVIEW_AFTER = 180;
const LEAST_DECAY = 0.5;

export class LayerFoot {
  readonly element: HTMLElement;
  private readonly depth: HTMLInputElement;
  private readonly depthWord = make('output', 'tbp-value');
  private readonly glob: HTMLInputElement;
  private readonly decay: HTMLInputElement;
  private readonly decayWord = make('output', 'tbp-value');
  private readonly decayPart: HTMLElement;
  private waiting = 0;

  constructor(
    private readonly tree: LayerTree,
    private readonly send: (message: Record<string, unknown>) => void
  ) {
    this.depth = make('input', 'tbp-range', {
      type: 'range',
      min: 0,
      max: Math.max(tree.stages.length - 1, 0),
      'aria-label': 'freeze up to this stage'
    });
    this.depth.addEventListener('input', () => this.showDepth(Number(this.depth.value)));
    this.depth.addEventListener('change', () => this.send({ do: 'depth', stages: Number(this.depth.value) }));
    this.glob = make('input', 'tbp-glob', {
      type: 'text',
      placeholder: 'blocks.[0-3], *.bn*',
      spellcheck: 'false',
      'aria-label': 'freeze by patterns, a number of stages, none or backbone'
    });
    this.glob.addEventListener('input', () => this.previewSoon());
    this.glob.addEventListener('keydown', event => {
      if (event.key === 'Enter') {
        this.sendGlob();
      }
    });
    this.decay = make('input', 'tbp-range', {
      type: 'range',
      min: LEAST_DECAY,
      max: 1,
      step: 0.01,
      'aria-label': 'learning rate of a stage against the one above it'
    });
    this.decay.addEventListener('input', () => this.showDecay(Number(this.decay.value)));
    this.decay.addEventListener('change', () => this.send({ do: 'decay', value: Number(this.decay.value) }));
    const part = (label: string, ...children: HTMLElement[]): HTMLElement =>
      make('span', 'tbp-part', {}, make('span', 'tbp-faint', {}, label), ...children);
    this.decayPart = part('lr a stage', this.decay, this.decayWord);
    this.element = make(
      'div',
      'tbp-foot',
      {},
      part('freeze up to', this.depth, this.depthWord),
      part('by pattern', this.glob, button('Freeze', '', () => this.sendGlob())),
      this.decayPart
    );
  }

  /** Shows a state; what is being typed stays unless it was refused. */
  draw(state: ILayerState, phase: number, back = false): void {
    const rows = state.phases[phase].rows;
    let frozen = 0;
    while (frozen < this.tree.stages.length && rows[this.tree.stages[frozen]] === FROZEN) {
      frozen += 1;
    }
    this.depth.value = String(frozen);
    this.showDepth(frozen);
    if (back || document.activeElement !== this.decay) {
      this.decay.value = String(state.decay);
    }
    this.showDecay(state.decay);
    this.decayPart.hidden = !!state.live;
  }

  private showDepth(frozen: number): void {
    const word = frozen ? this.tree.label(this.tree.stages[frozen - 1]) : 'nothing';
    setText(this.depthWord, word);
    this.depth.setAttribute('aria-valuetext', word);
    paint(this.depth);
  }

  private showDecay(decay: number): void {
    setText(this.decayWord, decay === 1 ? 'equal' : `× ${decay.toFixed(2)}`);
    this.decay.setAttribute('aria-valuetext', decay === 1 ? 'all stages alike' : `times ${decay.toFixed(2)}`);
    paint(this.decay);
  }

  private sendGlob(): void {
    window.clearTimeout(this.waiting);
    this.send({ do: 'glob', text: this.glob.value });
  }

  private previewSoon(): void {
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.send({ do: 'preview', text: this.glob.value }), PREVIEW_AFTER);
  }
}

/** Lets a slider's track show how far it is. */
export function paint(slider: HTMLInputElement): void {
  const [low, high] = [Number(slider.min), Number(slider.max)];
  const share = high > low ? (Number(slider.value) - low) / (high - low) : 0;
  slider.style.setProperty('--tbp-share', `${100 * share}%`);
}
