/** The training bar: how far it is, and the buttons and sliders that change it while it goes on. */

import '../chart/chart.css';
import './training.css';

import { element } from '../chart/element';
import { duration, thousands } from '../chart/numbers';
import type { IRenderContext } from './curves-model';
import { watchKernel } from './kernel';
import { Dial } from './training-dial';

/** Time in ms after which a kernel that tells nothing, and does not answer either, is said to be silent; and between looks. */
const SILENT = 40_000;
const LOOK = 5_000;
const GONE = 'The kernel is gone, and training in it ended with its last checkpoint; resume goes on from there.';
const MUTE = 'The kernel does not answer: it is busy, or gone. If it is gone, resume goes on from the last checkpoint.';

interface IOutcome {
  id: string;
  step: number;
  command: string;
  words: string;
  is_refused: boolean;
}

/** Where the run stands, as the kernel tells it. */
interface IState {
  name: string;
  /** The run directory from the notebook's folder. */
  path?: string;
  state: string;
  phase: string;
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  seconds_left: number | null;
  examples_per_second: number | null;
  unit: string;
  memory: number;
  lr: number | null;
  usual_lr: number | null;
  freeze: string;
  paused: boolean;
  message: string;
  dropout: Record<string, number | null>;
  outcomes: IOutcome[];
  refused: string;
}

type Send = (command: string, value?: unknown) => void;

/** Learning rates on the slider reach from a hundredth of the recipe's to a hundred times it. */
const LR_REACH = 100;
const KINDS: Record<string, string> = { head: 'head', inner: 'inside', depth: 'stochastic depth' };

class TrainingBar {
  constructor(
    host: HTMLElement,
    private readonly _send: Send
  ) {
    this.node = element('section', 'tb-training');
    this.node.setAttribute('aria-label', 'Training');
    const head = element('div', 'tb-head');
    const title = element('h3', 'tb-title');
    title.textContent = 'Training';
    this._figures = element('span', 'tb-training-figures');
    this._buttons = element('span', 'tb-buttons');
    this._pause = this._button('Pause', 'Wait before the next step; time then stands still', () =>
      this._ask(this._pause, this._last?.paused ? 'resume' : 'pause')
    );
    this._next = this._button('Unfreeze next stage', 'Train the next stage of the plan as well, from the next step on', () =>
      this._ask(this._next, 'next_stage')
    );
    this._finish = this._button('Finish now', 'End training and measure the best epoch, as if it were the last', () =>
      this._ask(this._finish, 'finish')
    );
    this._stop = this._button('Stop', 'End after this step with a checkpoint; the run can be resumed', () =>
      this._ask(this._stop, 'stop')
    );
    this._stop.classList.add('tb-stop');
    this._buttons.append(this._pause, this._next, this._finish, this._stop);
    this._after = element('span', 'tb-buttons');
    this._resume = this._button('Resume', 'Go on in the background, from the last checkpoint', () => this._tell('resume'));
    const again = this._button('Run again with changes', 'Open the form with what this run was given', () =>
      this._tell('again')
    );
    this._after.append(this._resume, again);
    head.append(title, this._figures, this._buttons, this._after);
    this._bar = element('div', 'tb-progress');
    this._bar.setAttribute('role', 'progressbar');
    this._bar.setAttribute('aria-label', 'Steps trained');
    this._fill = element('div', 'tb-progress-fill');
    this._bar.append(this._fill);
    this._dials = element('div', 'tb-dials');
    this._words = element('p', 'tb-training-words');
    this._words.setAttribute('aria-live', 'polite');
    this.node.append(head, this._bar, this._dials, this._words);
    host.append(this.node);
  }

  readonly node: HTMLElement;

  /** How long, in ms, the kernel has told nothing of a run that may go on. */
  get silence(): number {
    return this._last && isLive(this._last) ? performance.now() - this._heard : 0;
  }

  /** Says that nobody answers any more; a kernel that does takes it back. */
  mourn(words: string): void {
    const last = this._last;
    if (last && isLive(last)) {
      this.update({ ...last, state: 'died', phase: 'ended', seconds_left: null, refused: '', message: words });
    }
  }

  update(state: IState): void {
    this._heard = performance.now();
    const before = this._last;
    this._last = state;
    const live = isLive(state);
    const trains = live && state.phase === 'tuning';
    this._showFigures(state, live);
    this._showProgress(state);
    const answered = state.outcomes.length && state.outcomes[state.outcomes.length - 1].id !== lastId(before);
    if (answered || state.refused || state.paused !== before?.paused || !live) {
      this._buttons.querySelectorAll('button').forEach(button => button.removeAttribute('aria-busy'));
    }
    this._pause.textContent = state.paused ? 'Resume' : 'Pause';
    this._pause.disabled = this._next.disabled = this._finish.disabled = !trains;
    this._stop.disabled = !live;
    this._buttons.hidden = !live;
    // JupyterLab's half of Tunebook does what stands there; without it there is nothing to offer.
    this._after.hidden = live || !state.path || document.documentElement.dataset.tunebookLab === undefined;
    this._resume.hidden = state.state === 'finished';
    this._showDials(state, trains);
    this._showWords(state);
  }

  private _button(text: string, title: string, act: () => void): HTMLButtonElement {
    const button = element('button', 'tb-button');
    button.type = 'button';
    button.textContent = text;
    button.title = title;
    button.addEventListener('click', act);
    return button;
  }

  /** Send a command; the button says that it waits until something became of it. */
  private _ask(button: HTMLButtonElement, command: string): void {
    button.setAttribute('aria-busy', 'true');
    this._send(command);
  }

  /** Have JupyterLab do something with the run. */
  private _tell(action: string): void {
    const detail = { action, path: this._last?.path ?? '' };
    this.node.dispatchEvent(new CustomEvent('tunebook-run', { bubbles: true, composed: true, detail }));
  }

  private _showFigures(state: IState, live: boolean): void {
    const parts: string[] = [];
    if (state.paused) {
      parts.push('paused');
    } else if (state.phase && state.phase !== 'tuning') {
      parts.push(state.phase);
    }
    if (state.epochs) {
      parts.push(`epoch ${Math.min(state.epoch + (live ? 1 : 0), state.epochs)} of ${state.epochs}`);
    }
    if (state.steps) {
      parts.push(`${thousands(state.step)} of ${thousands(state.steps)} steps`);
    }
    if (state.examples_per_second !== null && live) {
      const rate = state.examples_per_second;
      parts.push(`${rate < 10 ? rate.toFixed(1) : thousands(rate)} ${state.unit}/s`);
    }
    if (state.seconds_left !== null && live) {
      parts.push(`${duration(state.seconds_left)} left`);
    }
    if (state.memory && live) {
      parts.push(state.memory >= 1e9 ? `${(state.memory / 1e9).toFixed(2)} GB` : `${thousands(state.memory / 1e6)} MB`);
    }
    const text = parts.join(' · ');
    if (text !== this._figures.textContent) {
      this._figures.textContent = text;
    }
    this._figures.title = state.name;
  }

  private _showProgress(state: IState): void {
    const share = state.steps ? Math.min(1, state.step / state.steps) : 0;
    this._fill.style.transform = `scaleX(${share})`;
    this._bar.classList.toggle('tb-paused', state.paused);
    this._bar.setAttribute('aria-valuemax', String(state.steps));
    this._bar.setAttribute('aria-valuenow', String(state.step));
    this._bar.setAttribute('aria-valuetext', this._figures.textContent ?? '');
  }

  private _showDials(state: IState, trains: boolean): void {
    this._dials.hidden = !trains;
    if (!trains) {
      return;
    }
    if (!this._lr && state.usual_lr) {
      const log = Math.log(state.usual_lr);
      this._lr = new Dial(this._dials, {
        label: 'learning rate',
        hint: 'Peak learning rate; the schedule goes on from there',
        toSlider: value => (Math.log(value) - log) / (2 * Math.log(LR_REACH)) + 0.5,
        fromSlider: place => Number(Math.exp((place - 0.5) * 2 * Math.log(LR_REACH) + log).toPrecision(2)),
        step: 0.005,
        onChange: value => this._send('lr', value)
      });
    }
    this._lr?.set(state.lr);
    for (const [kind, rate] of Object.entries(state.dropout)) {
      let dial = this._rates.get(kind);
      if (!dial) {
        dial = new Dial(this._dials, {
          label: kind === 'depth' ? KINDS.depth : `dropout ${KINDS[kind] ?? kind}`,
          hint: rate === null ? "The model's own rate, until it is changed" : 'From the next step on',
          toSlider: value => value,
          fromSlider: place => Number(place.toFixed(2)),
          step: 0.05,
          most: 0.95,
          onChange: value => this._send('dropout', { [kind]: value })
        });
        this._rates.set(kind, dial);
      }
      dial.set(rate);
    }
  }

  private _showWords(state: IState): void {
    const lines: { text: string; isBad: boolean }[] = [];
    if (state.refused) {
      lines.push({ text: state.refused, isBad: true });
    }
    if (state.message && state.state !== 'finished') {
      lines.push({ text: state.message, isBad: state.state === 'failed' || state.state === 'died' });
    }
    // The newest is what a hand has just done.
    const outcome = state.outcomes[state.outcomes.length - 1];
    if (outcome && !state.refused) {
      lines.push({ text: `step ${thousands(outcome.step)}: ${outcome.words}`, isBad: outcome.is_refused });
    } else if (!outcome && state.freeze && state.phase === 'tuning') {
      lines.push({ text: state.freeze, isBad: false });
    }
    const shape = JSON.stringify(lines);
    if (shape === this._said) {
      return;
    }
    this._said = shape;
    this._words.replaceChildren();
    for (const { text, isBad } of lines) {
      const line = element('span', isBad ? 'tb-refused' : '');
      line.textContent = text;
      this._words.append(line);
    }
    this._words.hidden = !lines.length;
  }

  private _last: IState | null = null;
  private _heard = performance.now();
  private _said = '';
  private _lr: Dial | null = null;
  private readonly _rates = new Map<string, Dial>();
  private readonly _figures: HTMLElement;
  private readonly _buttons: HTMLElement;
  private readonly _pause: HTMLButtonElement;
  private readonly _next: HTMLButtonElement;
  private readonly _finish: HTMLButtonElement;
  private readonly _stop: HTMLButtonElement;
  private readonly _after: HTMLElement;
  private readonly _resume: HTMLButtonElement;
  private readonly _bar: HTMLElement;
  private readonly _fill: HTMLElement;
  private readonly _dials: HTMLElement;
  private readonly _words: HTMLElement;
}

function isLive(state: IState): boolean {
  return state.state === 'running' || state.state === 'queued';
}

function lastId(state: IState | null): string | undefined {
  return state?.outcomes[state.outcomes.length - 1]?.id;
}

function render({ model, el }: IRenderContext): () => void {
  const bar = new TrainingBar(el, (command, value = null) => model.send({ kind: 'command', command, value }));
  bar.update(model.get('snapshot') as IState);
  const take = (content: unknown): void => {
    const state = content as IState & { kind: string };
    if (state?.kind === 'state') {
      bar.update(state);
    }
  };
  model.on('msg:custom', take);
  model.send({ kind: 'hello' });
  let isGone = false;
  const endWatch = watchKernel(model, () => {
    isGone = true;
    bar.mourn(GONE);
  });
  const timer = window.setInterval(() => {
    if (!isGone && bar.silence > SILENT) {
      bar.mourn(MUTE);
    } else if (!isGone && bar.silence > SILENT / 2) {
      model.send({ kind: 'hello' }); // it tells news only, and there may be none
    }
  }, LOOK);
  return () => {
    window.clearInterval(timer);
    endWatch();
    model.off('msg:custom', take);
    bar.node.remove();
  };
}

export default { render };
