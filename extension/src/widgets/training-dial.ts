/** A slider with a number beside it: what it is set to counts once it is let go. */

import { element } from '../chart/element';
import { short } from '../chart/numbers';

export interface IDialOptions {
  label: string;
  hint: string;
  /** Place on the slider, from 0 to 1, of a value, and back. */
  toSlider: (value: number) => number;
  fromSlider: (place: number) => number;
  step: number;
  most?: number;
  onChange: (value: number) => void;
}

let dials = 0;

export class Dial {
  constructor(
    host: HTMLElement,
    private readonly _options: IDialOptions
  ) {
    const id = `tb-dial-${++dials}`;
    const row = element('div', 'tb-dial');
    row.title = _options.hint;
    const label = element('label', 'tb-dial-label');
    label.htmlFor = id;
    label.textContent = _options.label;
    this._slider = element('input', 'tb-range');
    this._slider.id = id;
    this._slider.type = 'range';
    this._slider.min = '0';
    this._slider.max = String(_options.most ?? 1);
    this._slider.step = String(_options.step);
    this._number = element('input', 'tb-input tb-dial-number');
    this._number.type = 'text';
    this._number.inputMode = 'decimal';
    this._number.autocomplete = 'off';
    this._number.setAttribute('aria-label', `${_options.label}, as a number`);
    row.append(label, this._slider, this._number);
    host.append(row);
    this._slider.addEventListener('input', () => {
      this._isHeld = true;
      this._write(_options.fromSlider(Number(this._slider.value)));
    });
    this._slider.addEventListener('change', () => this._choose(_options.fromSlider(Number(this._slider.value))));
    this._number.addEventListener('focus', () => this._number.select());
    this._number.addEventListener('keydown', event => {
      // JupyterLab would take keys as commands.
      event.stopPropagation();
      if (event.key === 'Enter') {
        this._number.blur();
      } else if (event.key === 'Escape') {
        this._write(this._value);
        this._number.blur();
      }
    });
    this._number.addEventListener('change', () => {
      const value = Number(this._number.value.trim().replace(',', '.'));
      if (this._number.value.trim() && Number.isFinite(value)) {
        this._choose(value);
      } else {
        this._write(this._value);
      }
    });
  }

  /** Show the value in force, unless a hand holds the slider or waits for what it asked for. */
  set(value: number | null): void {
    const isNew = value !== this._value;
    this._value = value;
    if (this._wanted !== null && (isNew || performance.now() > this._until)) {
      this._wanted = null;
      this._number.classList.remove('tb-pending');
    }
    if (!this._isHeld && this._wanted === null && document.activeElement !== this._number) {
      this._write(value);
      this._slider.value = String(value === null ? 0 : this._options.toSlider(value));
    }
  }

  private _choose(value: number): void {
    this._isHeld = false;
    if (value === this._value) {
      this._write(value);
      return;
    }
    this._wanted = value;
    // What is refused has no new value; after a while the old one is shown again.
    this._until = performance.now() + 2500;
    this._slider.value = String(this._options.toSlider(value));
    this._write(value);
    this._number.classList.add('tb-pending');
    this._options.onChange(value);
  }

  private _write(value: number | null): void {
    this._number.value = value === null ? '' : short(value);
    this._number.placeholder = 'own';
    this._slider.setAttribute('aria-valuetext', value === null ? "the model's own" : short(value));
  }

  private _value: number | null = null;
  private _wanted: number | null = null;
  private _until = 0;
  private _isHeld = false;
  private readonly _slider: HTMLInputElement;
  private readonly _number: HTMLInputElement;
}
