/** The confusion matrix of an epoch, and a slider over the epochs. */

import { FULL, FULL_ON_DARK, matrixFigure, pairsFigure } from './confusion-figure';
import { element } from './element';
import { MistakeList, mistakesOf } from './mistakes';
import { thousands } from './numbers';
import { channels, luminance, onThemeChange, readTheme } from './palette';
import { Cell, ISaved, saveMenu } from './saving';
import type { IJsonConfusion } from './store';

/** More classes than this are drawn without their names, and many more not at all: the pairs tell what there is. */
const MOST_NAMES = 32;
const MOST_FIGURES = 16;
const MOST_DRAWN = 100;
const SIDE = 340;

export class ConfusionPage {
  constructor(host: HTMLElement) {
    this.node = element('div', 'tb-confusion');
    const tools = element('div', 'tb-tools');
    this._slider = element('input', 'tb-range');
    this._slider.type = 'range';
    this._slider.min = '0';
    this._slider.step = '1';
    this._slider.setAttribute('aria-label', 'Epoch of the confusion matrix');
    this._epoch = element('span', 'tb-figure');
    const label = element('label', 'tb-tool');
    label.append('epoch ', this._slider, this._epoch);
    this._label = label;
    tools.append(label, saveMenu(() => this._saved()));
    this._canvas = element('canvas', 'tb-matrix');
    this._canvas.setAttribute('role', 'img');
    this._said = element('p', 'tb-words');
    this._said.setAttribute('aria-live', 'polite');
    this._mistakes = new MistakeList();
    const side = element('div', 'tb-beside');
    side.append(this._mistakes.node, this._said);
    const both = element('div', 'tb-pair');
    both.append(this._canvas, side);
    this.node.append(tools, both);
    host.append(this.node);
    this._slider.addEventListener('input', () => {
      this._chosen = Number(this._slider.value) === this._last ? null : Number(this._slider.value);
      this._draw();
    });
    this._canvas.addEventListener('mousemove', event => this._point(event));
    this._canvas.addEventListener('mouseleave', () => (this._said.textContent = ''));
    this._forgetTheme = onThemeChange(this.node, () => this._draw());
  }

  readonly node: HTMLElement;

  update(data: IJsonConfusion | null): void {
    if (data === this._data) {
      return;
    }
    this._data = data;
    this._slider.max = String(this._last);
    this._draw();
  }

  destroy(): void {
    this._forgetTheme();
    this.node.remove();
  }

  private get _last(): number {
    return Math.max(0, (this._data?.steps.length ?? 1) - 1);
  }

  /** The epoch that is looked at: the last one, unless the reader chose another. */
  private get _at(): number {
    return Math.min(this._chosen ?? this._last, this._last);
  }

  private _draw(): void {
    const data = this._data;
    const counts = data?.counts[this._at];
    if (!data || !counts) {
      return;
    }
    const count = data.classes.length;
    this._label.hidden = this._last === 0;
    this._slider.value = String(this._at);
    this._epoch.textContent = ` ${this._at + 1} of ${this._last + 1} · step ${thousands(data.steps[this._at])}`;
    this._tellMistakes(counts, data.classes);
    this._canvas.hidden = count > MOST_DRAWN;
    if (count > MOST_DRAWN) {
      return;
    }
    const theme = readTheme(this.node);
    const names = count <= MOST_NAMES ? data.classes.map(name => cut(name, 14)) : [];
    const margin = names.length ? 16 + 6.4 * Math.max(...names.map(name => name.length)) : 18;
    const cell = Math.max(1, Math.min(34, Math.floor((SIDE + 120 - margin) / count), Math.max(14, SIDE / count)));
    const size = margin + cell * count + 4;
    const ratio = devicePixelRatio || 1;
    this._layout = { margin, cell };
    this._canvas.width = Math.round(size * ratio);
    this._canvas.height = Math.round(size * ratio);
    this._canvas.style.width = `${size}px`;
    const ctx = this._canvas.getContext('2d');
    if (!ctx) {
      return;
    }
    ctx.scale(ratio, ratio);
    ctx.font = `11px ${theme.font}`;
    const base = channels(theme.surface);
    const full = theme.isDark ? FULL_ON_DARK : FULL;
    for (let row = 0; row < count; row++) {
      const all = sum(counts, row * count, count);
      for (let column = 0; column < count; column++) {
        const value = counts[row * count + column];
        const share = all ? value / all : 0;
        const mixed = base.map((channel, i) => Math.round(channel + (full[i] - channel) * Math.sqrt(share)));
        ctx.fillStyle = `rgb(${mixed.join(',')})`;
        ctx.fillRect(margin + column * cell, margin + row * cell, cell - (cell > 6 ? 1 : 0), cell - (cell > 6 ? 1 : 0));
        if (value && count <= MOST_FIGURES) {
          ctx.fillStyle = luminance(`rgb(${mixed.join(',')})`) > 0.45 ? '#16191d' : '#f4f6f8';
          ctx.textAlign = 'center';
          ctx.textBaseline = 'middle';
          ctx.fillText(String(value), margin + (column + 0.5) * cell, margin + (row + 0.5) * cell + 1);
        }
      }
    }
    ctx.strokeStyle = theme.grid;
    ctx.strokeRect(margin - 0.5, margin - 0.5, count * cell, count * cell);
    ctx.fillStyle = theme.faint;
    names.forEach((name, index) => {
      ctx.textAlign = 'right';
      ctx.textBaseline = 'middle';
      ctx.fillText(name, margin - 6, margin + (index + 0.5) * cell);
      ctx.save();
      ctx.translate(margin + (index + 0.5) * cell, margin - 6);
      ctx.rotate(-Math.PI / 2);
      ctx.textAlign = 'left';
      ctx.fillText(name, 0, 0);
      ctx.restore();
    });
    if (!names.length) {
      ctx.textAlign = 'left';
      ctx.textBaseline = 'bottom';
      ctx.fillText(`${count} classes: predicted from left to right, truth from top to bottom`, margin, margin - 5);
    }
  }

  private _tellMistakes(counts: ArrayLike<number>, classes: readonly string[]): void {
    const count = classes.length;
    this._mistakes.update(mistakesOf(counts, classes));
    let right = 0;
    for (let row = 0; row < count; row++) {
      right += counts[row * count + row];
    }
    const all = sum(counts, 0, count * count);
    this._canvas.setAttribute(
      'aria-label',
      `Confusion matrix in validation, epoch ${this._at + 1}: ${right} of ${all} right. The most frequent mistakes follow.`
    );
  }

  private _saved(): ISaved {
    const data = this._data;
    const counts = data?.counts[this._at];
    if (!data || !counts) {
      return { name: 'confusion' };
    }
    const { classes } = data;
    const pairs = mistakesOf(counts, classes);
    return {
      name: 'confusion',
      figure: () => (classes.length > MOST_DRAWN ? pairsFigure(pairs) : matrixFigure(counts, classes)),
      rows: () => [
        ['truth', 'prediction', 'count'],
        ...classes.flatMap((truth, row) =>
          classes
            .map((prediction, column): Cell[] => [truth, prediction, counts[row * classes.length + column]])
            .filter(([, , count]) => count !== 0)
        )
      ]
    };
  }

  private _point(event: MouseEvent): void {
    const data = this._data;
    const counts = data?.counts[this._at];
    if (!data || !counts) {
      return;
    }
    const { margin, cell } = this._layout;
    // The canvas may be narrower than it is drawn.
    const scale = this._canvas.width / (devicePixelRatio || 1) / Math.max(1, this._canvas.clientWidth);
    const column = Math.floor((event.offsetX * scale - margin) / cell);
    const row = Math.floor((event.offsetY * scale - margin) / cell);
    const count = data.classes.length;
    if (row < 0 || column < 0 || row >= count || column >= count) {
      this._said.textContent = '';
      return;
    }
    const all = sum(counts, row * count, count);
    const value = counts[row * count + column];
    const share = all ? ` (${Math.round((100 * value) / all)} %)` : '';
    this._said.textContent =
      row === column
        ? `${data.classes[row]}: ${value} of ${all} found${share}`
        : `${data.classes[row]} taken for ${data.classes[column]}: ${value} of ${all}${share}`;
  }

  private _data: IJsonConfusion | null = null;
  private _chosen: number | null = null;
  private _layout = { margin: 0, cell: 1 };
  private readonly _slider: HTMLInputElement;
  private readonly _epoch: HTMLElement;
  private readonly _canvas: HTMLCanvasElement;
  private readonly _said: HTMLElement;
  private readonly _mistakes: MistakeList;
  private readonly _label: HTMLElement;
  private readonly _forgetTheme: () => void;
}

function sum(values: ArrayLike<number>, from: number, count: number): number {
  let total = 0;
  for (let i = from; i < from + count; i++) {
    total += values[i];
  }
  return total;
}

function cut(name: string, limit: number): string {
  return name.length > limit ? `${name.slice(0, limit - 1)}…` : name;
}
