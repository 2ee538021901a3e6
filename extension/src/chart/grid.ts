/** A page of charts that share their x axis, its zoom and their cursor. */

import { Axis, AxisName, FORMATS, TICKS } from './axis';
import { Chart, ILine, ILook, IMark } from './chart';
import { element } from './element';
import { distinctNames } from './numbers';
import { IPanel, IPart, panelsOf } from './panels';
import type { Curve, CurveStore, RunCurves } from './store';

/** How the charts of a view are looked at. */
export interface IGridLook extends ILook {
  axis: AxisName;
}

/** What does not waver is shown as it is. */
const UNSMOOTHED = /^(lr\/|trainable_parameters$)/;

/** Commands that change no curve. */
const PASSING = /^(pause|resume|stop|histograms)$/;

let groups = 0;

export class ChartGrid {
  /**
   * @param isMain - which panels are shown: the main ones, or the others
   * @param onZoom - a reader chose a part of the x axis, or all of it
   */
  constructor(
    host: HTMLElement,
    private readonly _store: CurveStore,
    private readonly _isMain: boolean,
    private readonly _onZoom: (range: [number, number] | null) => void
  ) {
    this.node = element('div', _isMain ? 'tb-grid tb-grid-main' : 'tb-grid');
    host.append(this.node);
  }

  readonly node: HTMLElement;

  /** Bring the charts up to what the store knows. */
  update(look: IGridLook, shown: readonly RunCurves[], hues: readonly number[]): void {
    const tags = [...new Set(shown.flatMap(run => [...run.curves.keys()]))];
    const chosen = shown.flatMap(run => (run.monitor ? [run.monitor[0]] : []));
    const panels = panelsOf(tags, chosen).filter(panel => panel.isMain === this._isMain);
    const shape = JSON.stringify(panels.map(panel => panel.title));
    if (shape !== this._shape) {
      this._shape = shape;
      this._charts.forEach(chart => chart.destroy());
      this._charts = panels.map((panel, index) => this._chart(panel, index));
    }
    const hasRuns = this._store.runs.length > 1;
    const names = distinctNames(shown.map(run => run.name));
    const all = panels.map(panel => lines(panel, look, shown, hues, hasRuns ? names : null));
    const extent = extentOf(all.flat());
    panels.forEach((_, index) => {
      const chart = this._charts[index];
      chart.setX(look.axis, FORMATS[look.axis], TICKS[look.axis]);
      chart.setLook({ ...look, extent });
      chart.setMarks(marks(look.axis, shown, hasRuns ? hues : null, names));
      chart.setSeries(all[index]);
    });
  }

  destroy(): void {
    this._charts.forEach(chart => chart.destroy());
    this.node.remove();
  }

  private _chart(panel: IPanel, index: number): Chart {
    const wanted = this._isMain && index === 0;
    return new Chart(this.node, { title: panel.title, group: this._group, labels: wanted, onZoom: this._onZoom });
  }

  private _charts: Chart[] = [];
  private _shape = '';
  private readonly _group = `tb-${++groups}`;
}

/** Return the x axis that all lines have together, so that charts below each other can be compared. */
function extentOf(all: readonly ILine[]): [number, number] | null {
  const ends = all.filter(line => line.x.length).map(line => [line.x[0], line.x[line.x.length - 1]]);
  const [from, to] = [Math.min(...ends.map(([first]) => first)), Math.max(...ends.map(([, last]) => last))];
  if (!(to > from)) {
    return null;
  }
  // Runs begin at step 0, and their first point is the one after it.
  return [from > 0 && from <= 0.25 * to ? 0 : from, to];
}

/** Return the lines of a panel: colours tell the curves of one run apart, or the runs. */
function lines(
  panel: IPanel,
  look: IGridLook,
  shown: readonly RunCurves[],
  hues: readonly number[],
  names: readonly string[] | null
): ILine[] {
  const hasRuns = names !== null;
  return shown.flatMap((run, index) => {
    const axis = new Axis(look.axis, run);
    return panel.parts.flatMap(part => {
      const curve = run.curves.get(part.tag);
      if (!curve?.length) {
        return [];
      }
      const rows = look.range ? closer(run, part.tag, curve) : columns(curve);
      const smooth = part.isFine && curve.length > 40 && !UNSMOOTHED.test(part.tag);
      return [
        {
          ...rows,
          x: axis.place(rows.x),
          label: hasRuns ? names[index] : part.label,
          run: hasRuns ? run.name : undefined,
          tag: part.tag,
          hue: hasRuns ? hues[index] : part.hue,
          dash: hasRuns ? hues[index] : part.dash,
          thin: part.isFine || (hasRuns && part.isLight),
          smooth,
          // One point alone has no line.
          dots: curve.length === 1 || (!part.isFine && !part.isLight),
          // Beside several runs one figure each is all that can be read.
          quiet: hasRuns && part !== spokesman(panel, run)
        }
      ];
    });
  });
}

/** Return the curve of a panel that speaks for a run: what is measured on other examples than those trained on. */
function spokesman(panel: IPanel, run: RunCurves): IPart | undefined {
  const present = panel.parts.filter(part => run.curves.get(part.tag)?.length);
  return present.find(part => part.label.startsWith('val')) ?? present.find(part => !part.isLight) ?? present[0];
}

type Columns = Pick<ILine, 'x' | 'y' | 'mean' | 'count'>;

function columns(curve: Curve): Columns {
  return { x: curve.steps, y: curve.values, mean: curve.means, count: curve.counts };
}

/** Put the finer rows of the part that is looked at in the place of the coarse ones. */
function closer(run: RunCurves, tag: string, coarse: Curve): Columns {
  const fine = run.details.get(tag);
  const range = run.detailRange;
  if (!fine?.length || !range) {
    return columns(coarse);
  }
  const before = coarse.steps.findIndex(step => step >= range[0]);
  const after = coarse.steps.findIndex(step => step > range[1]);
  const head = before < 0 ? coarse.length : before;
  const tail = after < 0 ? coarse.length : after;
  const put = (old: Float64Array | Float32Array, fresh: ArrayLike<number>): Float64Array => {
    const all = new Float64Array(head + fresh.length + coarse.length - tail);
    all.set(old.subarray(0, head));
    all.set(fresh, head);
    all.set(old.subarray(tail, coarse.length), head + fresh.length);
    return all;
  };
  return {
    x: put(coarse.x, fine.steps),
    y: put(coarse.y, fine.values),
    mean: put(coarse.mean, fine.means ?? fine.values),
    count: put(coarse.count, fine.counts ?? new Float32Array(fine.length).fill(1))
  };
}

/** Return what is marked: for one run what happened to it, for several the best epoch of each in its colour. */
function marks(
  name: AxisName,
  shown: readonly RunCurves[],
  hues: readonly number[] | null,
  names: readonly string[]
): IMark[] {
  return shown.flatMap((run, index) => {
    const axis = new Axis(name, run);
    const prefix = hues ? `${names[index]}: ` : '';
    const words = new Map<number, string[]>();
    for (const [step, said] of hues ? [] : run.marks) {
      if (!PASSING.test(said)) {
        words.set(step, [...(words.get(step) ?? []), said.replace(/^stage: /, '')]);
      }
    }
    const found: IMark[] = [...words].map(([step, said]) => ({ x: axis.place([step])[0], words: said.join(', ') }));
    if (run.best !== null) {
      const hue = hues ? { hue: hues[index] } : {};
      found.push({ x: axis.place([run.best])[0], words: `${prefix}best epoch`, isBest: true, ...hue });
    }
    return found;
  });
}
