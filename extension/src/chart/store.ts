/**
 * What is known of the curves of some runs, and the two ways in which it comes: whole, as JSON, or as binary patches.
 *
 * Steps are float64; values, means and counts float32. Curves are thinned where they come from, so that a million points
 * are a few thousand rows here.
 */

/** Rows of one curve, as a saved notebook holds them: steps, values, and for a thinned curve means and counts. */
export type JsonCurve = [number[], (number | null)[]] | [number[], (number | null)[], (number | null)[], number[]];

export interface IJsonConfusion {
  classes: string[];
  steps: number[];
  /** A matrix an epoch, rows one after the other. */
  counts: number[][];
}

/** A histogram: step, edges (one more than counts), counts. */
export type JsonHistogram = [number, number[], number[]];

export interface IJsonRun {
  key: string;
  name: string;
  state?: string;
  /** What the curves say, in a sentence. */
  words?: string;
  damaged?: number;
  /** Step of the best epoch. */
  best?: number | null;
  /** Tag of the curve that chooses the best epoch, and whether more of it is better. */
  monitor?: [tag: string, larger: boolean];
  marks?: [number, string][];
  /** Seconds since the start by step. */
  clock?: [number[], number[]];
  curves?: Record<string, JsonCurve>;
  histograms?: Record<string, JsonHistogram[]>;
  confusion?: IJsonConfusion | null;
}

/** What `application/vnd.tunebook.curves+json` holds. */
export interface IJsonCurves {
  version: number;
  runs: IJsonRun[];
}

/** One curve of a patch: keep so many rows, then put so many new ones after them. */
export type CurvePatch = [tag: string, keep: number, rows: number, thinned: boolean];

export interface IRunPatch extends Omit<IJsonRun, 'curves' | 'histograms' | 'confusion'> {
  curves?: CurvePatch[];
  /** Tags of histograms that can be asked for, and whether there are matrices of confusion. */
  histogram_tags?: string[];
  has_confusion?: boolean;
  histograms?: Record<string, JsonHistogram[]>;
  confusion?: IJsonConfusion | null;
}

export interface IPatch {
  kind: 'patch' | 'detail';
  /** Everything known before is void. */
  whole?: boolean;
  /** The part of the steps that a detail is about, by run. */
  ranges?: Record<string, [number, number]>;
  runs: IRunPatch[];
}

export class Curve {
  x = new Float64Array(64);
  y = new Float32Array(64);
  mean = new Float32Array(64);
  count = new Float32Array(64);
  length = 0;
  thinned = false;

  /** Rows that are in use. */
  get steps(): Float64Array {
    return this.x.subarray(0, this.length);
  }
  get values(): Float32Array {
    return this.y.subarray(0, this.length);
  }
  get means(): Float32Array | null {
    return this.thinned ? this.mean.subarray(0, this.length) : null;
  }
  get counts(): Float32Array | null {
    return this.thinned ? this.count.subarray(0, this.length) : null;
  }
  /** Last value that is a number. */
  get last(): number {
    for (let row = this.length - 1; row >= 0; row--) {
      if (Number.isFinite(this.y[row])) {
        return this.y[row];
      }
    }
    return NaN;
  }

  /** Keep some rows and put others after them. */
  replace(
    keep: number,
    x: ArrayLike<number>,
    y: ArrayLike<number>,
    mean: ArrayLike<number> | null,
    count: ArrayLike<number> | null
  ): void {
    const kept = Math.min(keep, this.length);
    const length = kept + x.length;
    if (length > this.x.length) {
      const room = Math.max(length, Math.ceil(this.x.length * 1.5));
      this.x = grown(this.x, new Float64Array(room), kept);
      this.y = grown(this.y, new Float32Array(room), kept);
      this.mean = grown(this.mean, new Float32Array(room), kept);
      this.count = grown(this.count, new Float32Array(room), kept);
    }
    this.x.set(x, kept);
    this.y.set(y, kept);
    this.mean.set(mean ?? y, kept);
    if (count) {
      this.count.set(count, kept);
    } else {
      this.count.fill(1, kept, length);
    }
    this.length = length;
    this.thinned = this.thinned || mean !== null;
  }
}

export class RunCurves {
  constructor(readonly key: string) {}

  name = '';
  state = '';
  words = '';
  damaged = 0;
  best: number | null = null;
  monitor: [tag: string, larger: boolean] | null = null;
  marks: [number, string][] = [];
  clock: [number[], number[]] = [[], []];
  readonly curves = new Map<string, Curve>();
  /** More rows of a part that is looked at closely. */
  readonly details = new Map<string, Curve>();
  detailRange: [number, number] | null = null;
  histogramTags: string[] = [];
  histograms: Record<string, JsonHistogram[]> = {};
  hasConfusion = false;
  confusion: IJsonConfusion | null = null;
  isShown = true;
}

export class CurveStore {
  /** Read what a saved notebook holds; what is not of the form is left out. */
  static fromJson(data: unknown): CurveStore {
    const store = new CurveStore();
    store.load(data);
    return store;
  }

  readonly runs: RunCurves[] = [];

  /** Call back after each change. */
  onChange(callback: () => void): () => void {
    this._callbacks.add(callback);
    return () => this._callbacks.delete(callback);
  }

  /** Replace everything by a whole set of curves. */
  load(data: unknown): void {
    this._forget();
    const runs = isRecord(data) && Array.isArray(data.runs) ? data.runs : [];
    for (const raw of runs) {
      if (isRecord(raw) && typeof raw.key === 'string') {
        const run = this._run(raw.key);
        this._describe(run, raw as unknown as IRunPatch);
        for (const [tag, rows] of Object.entries(isRecord(raw.curves) ? raw.curves : {})) {
          if (Array.isArray(rows) && rows.length >= 2 && rows.every(isColumn)) {
            const [x, y, mean, count] = (rows as ArrayLike<unknown>[]).map(numbers);
            if (y.length === x.length) {
              curve(run.curves, tag).replace(0, x, y, mean ?? null, count ?? null);
            }
          }
        }
        run.histogramTags = Object.keys(run.histograms);
        run.hasConfusion = run.confusion !== null;
      }
    }
    this._tell();
  }

  /** Take in a patch. */
  apply(patch: IPatch, buffers: readonly ArrayBufferView[]): void {
    if (patch.whole) {
      this._forget();
    }
    const rows = buffers.length ? new Rows(buffers[0]) : null;
    for (const raw of patch.runs) {
      const run = this._run(raw.key);
      const isDetail = patch.kind === 'detail';
      if (isDetail) {
        run.details.clear();
        run.detailRange = patch.ranges?.[raw.key] ?? null;
      } else {
        this._describe(run, raw);
      }
      for (const [tag, keep, count, thinned] of raw.curves ?? []) {
        if (!rows) {
          continue;
        }
        const [x, y, mean, counts] = rows.next(count, thinned);
        curve(isDetail ? run.details : run.curves, tag).replace(keep, x, y, mean, counts);
      }
    }
    this._tell();
  }

  /** Forget the curves, but not which of them a reader has hidden. */
  private _forget(): void {
    this._hidden = new Set(this.runs.filter(run => !run.isShown).map(run => run.key));
    this.runs.length = 0;
  }

  private _run(key: string): RunCurves {
    let run = this.runs.find(known => known.key === key);
    if (!run) {
      run = new RunCurves(key);
      run.isShown = !this._hidden.has(key);
      this.runs.push(run);
    }
    return run;
  }

  private _describe(run: RunCurves, raw: IRunPatch): void {
    run.name = typeof raw.name === 'string' ? raw.name : run.name;
    run.state = raw.state ?? run.state;
    run.words = raw.words ?? run.words;
    run.damaged = raw.damaged ?? run.damaged;
    run.best = raw.best === undefined ? run.best : raw.best;
    run.monitor = isMonitor(raw.monitor) ? raw.monitor : run.monitor;
    run.marks = raw.marks ?? run.marks;
    run.clock = raw.clock ?? run.clock;
    run.histogramTags = raw.histogram_tags ?? run.histogramTags;
    run.hasConfusion = raw.has_confusion ?? run.hasConfusion;
    run.histograms = raw.histograms ?? run.histograms;
    run.confusion = raw.confusion ?? run.confusion;
  }

  private _tell(): void {
    for (const callback of this._callbacks) {
      callback();
    }
  }

  private _hidden = new Set<string>();
  private readonly _callbacks = new Set<() => void>();
}

function isMonitor(raw: unknown): raw is [string, boolean] {
  return Array.isArray(raw) && raw.length === 2 && typeof raw[0] === 'string' && typeof raw[1] === 'boolean';
}

/** Reads the columns of a patch one after the other. */
class Rows {
  constructor(view: ArrayBufferView) {
    // A copy is aligned, and does not keep a whole websocket message alive.
    this._bytes = new Uint8Array(view.byteLength);
    this._bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }

  next(count: number, thinned: boolean): [Float64Array, Float32Array, Float32Array | null, Float32Array | null] {
    const x = new Float64Array(this._take(8 * count));
    const y = new Float32Array(this._take(4 * count));
    const mean = thinned ? new Float32Array(this._take(4 * count)) : null;
    const counts = thinned ? new Float32Array(this._take(4 * count)) : null;
    return [x, y, mean, counts];
  }

  private _take(bytes: number): ArrayBuffer {
    const part = this._bytes.slice(this._at, this._at + bytes);
    this._at += bytes;
    return part.buffer;
  }

  private _at = 0;
  private readonly _bytes: Uint8Array;
}

function curve(curves: Map<string, Curve>, tag: string): Curve {
  let found = curves.get(tag);
  if (!found) {
    found = new Curve();
    curves.set(tag, found);
  }
  return found;
}

function grown<T extends Float32Array | Float64Array>(old: T, fresh: T, kept: number): T {
  fresh.set(old.subarray(0, kept));
  return fresh;
}

function numbers(column: ArrayLike<unknown>): ArrayLike<number> {
  return ArrayBuffer.isView(column)
    ? (column as ArrayLike<number>)
    : Array.from(column, value => (typeof value === 'number' ? value : NaN));
}

/** Rows come as lists from JSON, and as typed arrays from a server's binary answer. */
function isColumn(value: unknown): boolean {
  return Array.isArray(value) || value instanceof Float64Array || value instanceof Float32Array;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
