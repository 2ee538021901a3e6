/** What the kernel hands over of a bias report, and how its numbers are read. */

export interface IMetric {
  name: string;
  /** The class that it is of; empty for a metric of all. */
  label: string;
  words: string;
  /** Whether less is better. */
  less: boolean;
}

export interface IGap {
  name: string;
  words: string;
  said: string;
  /** The metric of the widest gap; -1 where there is none, or it is not shown. */
  metric: number;
  label?: string;
  lowest?: string;
  highest?: string;
  difference?: (number | null)[];
  ratio?: number | null;
  p?: number | null;
  clear?: boolean;
  before?: number | null;
  change?: (number | null)[];
  is_changed?: boolean;
}

/** One attribute on one split; figures are by metric, model and group. */
export interface IView {
  groups: number[];
  n: number[];
  counted: string[];
  value: number[][][];
  low: number[][][];
  high: number[][][];
  of: number[][][];
  every: number[][];
  gaps: IGap[];
  remarks: string[];
}

export interface IAttribute {
  name: string;
  kind: 'values' | 'bins' | 'intersection';
  is_derived: boolean;
  groups: string[];
  views: IView[];
  columns?: [string, string];
  axes?: [string[], string[]];
  parts?: [number, number][];
}

export interface IBiasDocument {
  schema: string;
  source: string;
  models: string[];
  splits: string[];
  is_tuned: boolean;
  minimum: number;
  positive: string;
  headline: string[];
  remarks: string[][];
  metrics: IMetric[];
  attributes: IAttribute[];
  left_out: { classes: number; attributes: number };
}

/** What is shown now. */
export interface IChoice {
  attribute: number;
  split: number;
  metric: number;
  sort: Sort;
  falling: boolean;
  isHeat: boolean;
}

export type Sort = 'value' | 'listed' | 'name' | 'n' | 'change';

/** A figure of a group; what is undefined is null. */
export interface IFigure {
  value: number | null;
  low: number | null;
  high: number | null;
  of: number;
}

/** A group with the figures of the metric that is shown. */
export interface IRow {
  /** Its place in the view. */
  place: number;
  name: string;
  n: number;
  isCounted: boolean;
  /** One for each model. */
  figures: IFigure[];
  change: number | null;
}

const PARTS = 10000;

/** Reads the rows of what is chosen, in the order in which the groups are listed. */
export function rowsOf(report: IBiasDocument, choice: IChoice): IRow[] {
  const attribute = report.attributes[choice.attribute];
  const view = attribute.views[choice.split];
  const m = choice.metric;
  return view.groups.map((group, place) => {
    const figures = report.models.map((_, k) => ({
      value: share(view.value[m][k][place]),
      low: share(view.low[m][k][place]),
      high: share(view.high[m][k][place]),
      of: view.of[m][k][place]
    }));
    const [first, last] = [figures[0].value, figures[figures.length - 1].value];
    return {
      place,
      name: attribute.groups[group],
      n: view.n[place],
      isCounted: view.counted[m][place] === '1',
      figures,
      change: figures.length > 1 && first !== null && last !== null ? last - first : null
    };
  });
}

/** Reads a metric of all examples together, for each model. */
export function everyOf(report: IBiasDocument, choice: IChoice): (number | null)[] {
  return report.attributes[choice.attribute].views[choice.split].every[choice.metric].map(share);
}

/** Sorts rows; groups that count come before those that are too small, and what is undefined comes last. */
export function sorted(rows: IRow[], sort: Sort, falling: boolean): IRow[] {
  const sign = falling ? -1 : 1;
  const key = (row: IRow): number | null =>
    sort === 'n' ? row.n : sort === 'change' ? row.change : row.figures[row.figures.length - 1].value;
  const compare = (a: IRow, b: IRow): number => {
    if (sort === 'listed') {
      return sign * (a.place - b.place);
    }
    if (sort === 'name') {
      return sign * a.name.localeCompare(b.name, undefined, { numeric: true });
    }
    if (sort !== 'n' && a.isCounted !== b.isCounted) {
      return a.isCounted ? -1 : 1;
    }
    const [one, other] = [key(a), key(b)];
    if (one === null || other === null) {
      return Number(one === null) - Number(other === null) || a.place - b.place;
    }
    return sign * (one - other) || a.place - b.place;
  };
  return [...rows].sort(compare);
}

/** Names a metric with its class. */
export function metricWords(metric: IMetric): string {
  return metric.label ? `${metric.words}, ${metric.label}` : metric.words;
}

/** Writes a share with two digits; "undefined" for what cannot be computed. */
export function written(value: number | null | undefined): string {
  return value === null || value === undefined ? 'undefined' : value.toFixed(2);
}

/** Writes a difference with its sign. */
export function signed(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined) {
    return 'undefined';
  }
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : `${value > 0 ? '+' : '−'}${size}`;
}

/** Writes a p-value. */
export function chance(p: number | null | undefined): string {
  return p === null || p === undefined ? '' : p < 0.001 ? '<0.001' : p.toFixed(p < 0.1 ? 3 : 2);
}

/** Returns ticks from 0 to 1, or to what the values reach, at most six. */
export function ticksOf(values: (number | null)[]): number[] {
  const known = values.filter((value): value is number => value !== null);
  if (!known.length) {
    return [0, 1];
  }
  const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [1, 0]);
  const step = [0.02, 0.05, 0.1, 0.2].find(one => (high - low) / one <= 4) ?? 0.5;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, k) => Number(((first + k) * step).toFixed(4)));
}

function share(parts: number): number | null {
  return parts < 0 ? null : parts / PARTS;
}
