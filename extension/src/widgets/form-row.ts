/** One field: its name, its control, a way back to its default, and its help. Only a hand sends anything. */

import { paint } from './layer-foot';
import { make, onEntered, setText } from './panel-dom';

/** What never changes of a field. */
export interface IFieldSpec {
  name: string;
  label: string;
  help: string;
  kind: 'number' | 'integer' | 'choice' | 'flag' | 'text';
  choices: string[];
  optional: boolean;
  log: boolean;
}

/** What a recipe makes of it. */
export interface IFieldRow {
  value: unknown;
  shown: unknown;
  range: [number, number, number] | null;
  note: string;
  off: boolean;
  is_default: boolean;
  is_back: boolean;
}

type Send = (message: Record<string, unknown>) => void;

/** Digits that a slider over ratios keeps. */
const DIGITS = 2;
/** Shortest time in ms between two messages of a slider that is being dragged. */
const PACE = 80;
const MASTER = 'all_dropout';

let instances = 0;

export class FieldRow {
  readonly element: HTMLElement;
  private readonly reset: HTMLButtonElement;
  private readonly note = make('span', 'tunebook-noted');
  private readonly refused = make('div', 'tunebook-refused', { role: 'alert' });
  private readonly slider: HTMLInputElement | null = null;
  private readonly box: HTMLInputElement | null = null;
  private readonly flag: HTMLInputElement | null = null;
  private readonly choices: HTMLButtonElement[] = [];
  private state: IFieldRow | null = null;
  private isDragged = false;
  private waiting = 0;
  private sent = 0;

  constructor(
    private readonly spec: IFieldSpec,
    private readonly send: Send
  ) {
    const id = `tbp-field-${++instances}`;
    const controls: HTMLElement[] = [];
    const described = { 'aria-label': spec.label, 'aria-describedby': id };
    if (spec.kind === 'choice') {
      this.choices = spec.choices.map(word => this.makeChoice(word));
      controls.push(make('span', 'tbp-choices', { role: 'group', ...described }, ...this.choices));
    } else if (spec.kind === 'flag') {
      this.flag = make('input', 'tbp-flag', { type: 'checkbox', ...described });
      this.flag.addEventListener('change', () => this.set(this.flag!.checked));
      controls.push(this.flag);
    } else {
      if (spec.kind !== 'text') {
        this.slider = make('input', 'tbp-range', { type: 'range', ...described });
        this.slider.addEventListener('input', () => this.drag());
        this.slider.addEventListener('change', () => this.drop());
        controls.push(this.slider);
      }
      const role = spec.kind === 'text' ? {} : { inputmode: 'decimal', role: 'spinbutton' };
      this.box = make('input', 'tbp-entry', { type: 'text', spellcheck: 'false', autocomplete: 'off', ...role, ...described });
      onEntered(this.box, text => this.set(spec.kind === 'text' ? text : this.read(text)));
      this.box.addEventListener('keydown', event => this.step(event));
      controls.push(this.box);
    }
    this.reset = make('button', 'tbp-button tbp-reset', { type: 'button' }, '↺');
    this.reset.addEventListener('click', () => this.goBack());
    const help = make('span', 'tunebook-note', { id }, this.note, make('span', '', {}, spec.help));
    const name = make('span', 'tunebook-name', { title: spec.help }, spec.label);
    const css = `tunebook-field tunebook-field-${spec.kind}`;
    this.element = make('div', css, {}, name, ...controls, this.reset, help, this.refused);
  }

  /** Shows a state; what is being typed or dragged stays, unless it was refused. */
  show(state: IFieldRow, isRefused = false): void {
    this.state = state;
    const { spec } = this;
    const word = written(spec, state);
    if (this.slider && (!this.isDragged || isRefused)) {
      this.showSlider(state);
    }
    if (this.box && (isRefused || !this.isTyped())) {
      this.box.value = word;
      this.box.dataset.shown = word;
      this.box.placeholder = word ? '' : 'they differ';
    }
    if (this.box && this.slider) {
      this.box.setAttribute('aria-valuetext', [word, state.note].filter(Boolean).join(', '));
      this.box.setAttribute('aria-valuenow', String(Number(state.shown)));
    }
    if (this.flag) {
      this.flag.checked = state.value === true;
    }
    this.choices.forEach(choice => choice.setAttribute('aria-pressed', String(choice.dataset.name === state.value)));
    [this.slider, this.box, this.flag, ...this.choices].forEach(control => control && (control.disabled = state.off));
    setText(this.note, state.note);
    const takesBack = state.is_default && state.is_back;
    this.reset.classList.toggle('tbp-nothing', (state.is_default && !state.is_back) || state.off);
    this.reset.disabled = (state.is_default && !state.is_back) || state.off;
    const words = takesBack ? `take it back: ${spec.label} as before` : `back to the default of ${spec.label}`;
    this.reset.title = words;
    this.reset.setAttribute('aria-label', words);
    setText(this.reset, takesBack ? '↻' : '↺');
  }

  /** Tells what was refused; nothing takes it away. */
  refuse(line: string): void {
    setText(this.refused, line);
  }

  // What a hand does.

  private set(value: unknown, drags = false): void {
    const { name } = this.spec;
    const act = name === MASTER ? { do: MASTER } : { do: 'set' };
    this.send({ ...act, name, value, ...(drags ? { drags } : {}) });
  }

  private goBack(): void {
    const { name } = this.spec;
    this.send(name === MASTER ? { do: MASTER, name, value: null } : { do: 'reset', name });
  }

  private makeChoice(word: string): HTMLButtonElement {
    const made = make('button', 'tbp-button tbp-choice', { type: 'button' }, word);
    made.dataset.name = word;
    made.addEventListener('click', () => this.set(word));
    return made;
  }

  /** Reads a number; what is none goes as it was typed, to be refused in words. */
  private read(text: string): unknown {
    const trimmed = text.trim();
    if (trimmed === '') {
      return this.spec.optional ? null : text;
    }
    const value = Number(trimmed);
    return Number.isFinite(value) && /^[-+\d.e]+$/i.test(trimmed) ? value : text;
  }

  private step(event: KeyboardEvent): void {
    const way = event.key === 'ArrowUp' ? 1 : event.key === 'ArrowDown' ? -1 : 0;
    if (!way || !this.slider || !this.state || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const place = Number(this.slider.value) + way * this.state.range![2];
    const value = this.valueAt(Math.min(Number(this.slider.max), Math.max(Number(this.slider.min), place)));
    this.box!.value = String(value);
    this.box!.dataset.shown = this.box!.value;
    this.set(value);
  }

  private isTyped(): boolean {
    return document.activeElement === this.box && this.box!.value !== (this.box!.dataset.shown ?? '');
  }

  // The slider.

  private showSlider(state: IFieldRow): void {
    const slider = this.slider!;
    const [low, high, step] = state.range!;
    slider.min = String(low);
    slider.max = String(high);
    slider.step = String(step);
    slider.value = String(this.spec.log ? Math.log10(Number(state.shown)) : state.shown);
    slider.setAttribute('aria-valuetext', [written(this.spec, state), state.note].filter(Boolean).join(', '));
    paint(slider);
  }

  private valueAt(place: number): number {
    if (this.spec.log) {
      return Number((10 ** place).toPrecision(DIGITS));
    }
    if (this.spec.kind === 'integer') {
      return Math.round(place);
    }
    const step = this.state!.range![2];
    return Number(place.toFixed(Math.max(0, 1 - Math.floor(Math.log10(step)))));
  }

  private drag(): void {
    this.isDragged = true;
    const value = this.valueAt(Number(this.slider!.value));
    this.box!.value = String(value);
    this.box!.dataset.shown = this.box!.value;
    paint(this.slider!);
    window.clearTimeout(this.waiting);
    const now = performance.now();
    const go = (): void => {
      this.sent = performance.now();
      this.set(value, true);
    };
    if (now - this.sent >= PACE) {
      go();
    } else {
      this.waiting = window.setTimeout(go, PACE - (now - this.sent));
    }
  }

  private drop(): void {
    window.clearTimeout(this.waiting);
    this.isDragged = false;
    this.set(this.valueAt(Number(this.slider!.value)));
  }
}

/** Writes a value as it would be typed. */
function written(spec: IFieldSpec, state: IFieldRow): string {
  if (spec.name === MASTER && state.value === null) {
    return '';
  }
  return String(state.shown ?? '');
}
