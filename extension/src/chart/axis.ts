/** What the x axis counts: steps, epochs, or time; each run has its own way from one to the other. */

import { duration, short, thousands } from './numbers';
import type { RunCurves } from './store';

export type AxisName = 'step' | 'epoch' | 'time';

/** Turns steps of a run into places of an axis, and back. */
export class Axis {
  constructor(
    readonly name: AxisName,
    run: RunCurves
  ) {
    if (name === 'time') {
      [this._from, this._to] = run.clock;
    } else if (name === 'epoch') {
      const epochs = run.curves.get('epoch');
      // The log says how many epochs are done at the end of each: the first one begins at step 0.
      this._from = [0, ...(epochs?.steps ?? [])];
      this._to = [0, ...(epochs?.values ?? [])];
    }
  }

  /** Whether the run says enough for this axis. */
  get isKnown(): boolean {
    return this.name === 'step' || this._from.length > 1;
  }

  place(steps: ArrayLike<number>): ArrayLike<number> {
    return this.name === 'step' ? steps : Float64Array.from(steps, step => between(step, this._from, this._to));
  }

  step(place: number): number {
    return this.name === 'step' ? place : between(place, this._to, this._from);
  }

  private _from: number[] = [];
  private _to: number[] = [];
}

/** Distances between ticks that a person counts in. */
export const TICKS: Record<AxisName, number[]> = {
  step: decimals(0),
  epoch: decimals(-2),
  time: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, ...days()]
};

function decimals(from: number): number[] {
  const powers = Array.from({ length: 16 - from }, (_, i) => 10 ** (from + i));
  return powers.flatMap(power => [power, 2 * power, 5 * power]);
}

function days(): number[] {
  return [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map(count => 86400 * count);
}

export const FORMATS: Record<AxisName, (x: number) => string> = {
  step: x => (x < 1e6 ? thousands(x) : short(x)),
  epoch: x => String(Number(x.toFixed(2))),
  time: duration
};

/** Interpolate in straight lines; beyond the ends the nearest line goes on. */
export function between(x: number, from: readonly number[], to: readonly number[]): number {
  if (from.length < 2) {
    return from.length ? to[0] + (x - from[0]) : x;
  }
  let [low, high] = [0, from.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const width = from[high] - from[low];
  return width > 0 ? to[low] + ((x - from[low]) / width) * (to[high] - to[low]) : to[high];
}
