import { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';

import { CurveStore, IAsk, IJsonRun, IPatch } from '../chart';
import type { IConfusion, IRunRow } from '../contract';
import type { IScalars } from '../scalars';
import { oneLine, Server } from '../server';

/** What the curves of a run are called, and how it stands. */
export interface ISubject {
  readonly path: string;
  readonly name: string;
  readonly row?: IRunRow;
  readonly classes?: readonly string[];
  readonly confusion?: IConfusion | null;
}

/** Points held beyond which curves are asked for as a whole, thinned to what can be seen. */
const MOST_POINTS = 40_000;
const MOST_HISTOGRAMS = 40;
const WIDTH = 800;
/** Time in ms between two questions: while curves grow, and once a file has not grown for some answers. */
const FAST = 1000;
const SLOW = 5000;
const QUIET_ANSWERS = 4;

type Run = Mutable<IPatch['runs'][number]>;
type Mutable<T> = { -readonly [key in keyof T]: T[key] };

interface IKnown {
  subject: ISubject;
  token: string;
  complete: boolean;
  points: number;
  clock: { tag: string; start: number; steps: number[]; seconds: number[] };
  histograms: readonly string[];
}

/** Fetches the curves of runs or events files from the server, and what is new of them while somebody looks. */
export class CurveFeed implements IDisposable {
  constructor(
    private readonly server: Server,
    subjects: readonly ISubject[],
    private readonly isSeen: () => boolean
  ) {
    this.subjects = subjects.map(subject => fresh(subject));
    this.store.apply({ kind: 'patch', runs: this.subjects.map(known => described(known, this.failure)) }, []);
    this.poll = new Poll({
      name: 'tunebook:curves',
      factory: () => this.ask(),
      frequency: { interval: FAST, backoff: true, max: 30_000 },
      standby: () => (document.hidden || !this.isSeen() || this.isOver ? true : 'when-hidden')
    });
  }

  readonly store = new CurveStore();

  /** What the view asks for beyond what comes by itself. */
  readonly asks: IAsk = {
    detail: (ranges, width) => void this.detail(ranges, width),
    tensors: (kind, key) => void this.tensors(kind, key),
    takeHistograms: key => void this.server.command(key, 'histograms').catch(() => undefined)
  };

  get isDisposed(): boolean {
    return this.poll.isDisposed;
  }

  dispose(): void {
    this.poll.dispose();
  }

  /** Take what is newly known of a run: its state, and whether there is more to come. */
  describe(subject: ISubject): void {
    const known = this.subjects.find(one => one.subject.path === subject.path);
    if (known) {
      const wasLive = isLive(known.subject);
      known.subject = subject;
      this.store.apply({ kind: 'patch', runs: [described(known, this.failure)] }, []);
      if (wasLive || isLive(subject)) {
        void this.poll.refresh();
      }
    }
  }

  /** Nothing more will come: all are read, and none of them is running. */
  private get isOver(): boolean {
    return this.subjects.every(known => known.complete && !isLive(known.subject));
  }

  private async ask(): Promise<void> {
    for (const known of this.subjects) {
      const since = known.points > MOST_POINTS ? '' : known.token;
      try {
        const answer = await this.server.scalars({ path: known.subject.path, since, width: WIDTH });
        this.failure = '';
        this.quiet = answer.points.size > 0 || !answer.header.complete ? 0 : this.quiet + 1;
        this.take(known, answer);
      } catch (error) {
        this.failure = oneLine(error);
        this.store.apply({ kind: 'patch', runs: [described(known, this.failure)] }, []);
        throw error;
      }
    }
    const interval = this.quiet < QUIET_ANSWERS * this.subjects.length ? FAST : SLOW;
    if (interval !== this.poll.frequency.interval) {
      this.poll.frequency = { ...this.poll.frequency, interval };
    }
  }

  private take(known: IKnown, answer: IScalars): void {
    const { header, points } = answer;
    known.token = header.token;
    known.complete = header.complete;
    known.histograms = header.histograms;
    const held = this.store.runs.find(run => run.key === known.subject.path);
    const curves: Run['curves'] = [];
    const columns: ArrayBufferView[] = [];
    for (const [tag, found] of points) {
      const keep = found.append ? (held?.curves.get(tag)?.length ?? 0) : 0;
      known.points += found.append ? found.steps.length : 0;
      curves.push([tag, keep, found.steps.length, false]);
      columns.push(found.steps, Float32Array.from(found.values));
      follow(known.clock, tag, found);
    }
    const run: Run = described(known, '');
    run.curves = curves;
    run.damaged = header.damaged;
    run.clock = [known.clock.steps, known.clock.seconds];
    run.marks = header.texts.filter(text => text.tag === 'marks').map(text => [text.step, text.text]);
    run.histogram_tags = [...header.histograms];
    this.store.apply({ kind: 'patch', runs: [run] }, [packed(columns)]);
    const best = this.bestStep(known);
    if (best !== undefined) {
      this.store.apply({ kind: 'patch', runs: [{ ...described(known, ''), best }] }, []);
    }
  }

  /** The step at which the best epoch ended, from the curve that counts epochs. */
  private bestStep(known: IKnown): number | undefined {
    const epoch = known.subject.row?.best?.epoch;
    const epochs = this.store.runs.find(run => run.key === known.subject.path)?.curves.get('epoch');
    if (epoch === undefined || !epochs) {
      return undefined;
    }
    const place = epochs.values.indexOf(epoch);
    return place < 0 ? undefined : epochs.steps[place];
  }

  private async detail(ranges: Record<string, [number, number]> | null, width: number): Promise<void> {
    for (const known of this.subjects) {
      const { path, name } = known.subject;
      const range = ranges?.[path];
      const empty: IPatch = { kind: 'detail', runs: [{ key: path, name }] };
      if (!range) {
        this.store.apply(empty, []);
        continue;
      }
      try {
        const answer = await this.server.scalars({ path, width: Math.max(200, width), start: range[0], end: range[1] });
        const found = [...answer.points];
        const curves: Run['curves'] = found.map(([tag, points]) => [tag, 0, points.steps.length, false]);
        const columns = found.flatMap(([, points]) => [points.steps, Float32Array.from(points.values)]);
        const patch: IPatch = { kind: 'detail', ranges: { [path]: range }, runs: [{ key: path, name, curves }] };
        this.store.apply(patch, [packed(columns)]);
      } catch {
        // The coarse curves stay.
      }
    }
  }

  private async tensors(kind: 'confusion' | 'histograms', key: string): Promise<void> {
    const known = this.subjects.find(one => one.subject.path === key);
    if (!known || kind === 'confusion') {
      return; // the confusion matrix comes with the run itself
    }
    const histograms: NonNullable<IJsonRun['histograms']> = {};
    for (const tag of known.histograms.slice(0, MOST_HISTOGRAMS)) {
      try {
        const found = await this.server.histograms(key, tag);
        histograms[tag] = found.map(one => [one.step, one.edges.map(Number), one.counts.map(Number)]);
      } catch {
        // Those that can be read are shown.
      }
    }
    this.store.apply({ kind: 'patch', runs: [{ ...described(known, ''), histograms }] }, []);
  }

  private failure = '';
  private quiet = 0;
  private readonly subjects: IKnown[];
  private readonly poll: Poll;
}

function fresh(subject: ISubject): IKnown {
  const clock = { tag: '', start: 0, steps: [], seconds: [] };
  return { subject, token: '', complete: false, points: 0, clock, histograms: [] };
}

function isLive(subject: ISubject): boolean {
  // An events file says nothing of who writes it: it is asked for as long as it is looked at.
  return subject.row === undefined || subject.row.state === 'running' || subject.row.state === 'queued';
}

function described(known: IKnown, failure: string): Run {
  const { path, name, row, classes, confusion } = known.subject;
  const run: Run = { key: path, name, state: row?.state ?? '', words: failure };
  if (confusion && classes) {
    const counts = confusion.counts.flatMap(line => [...line]);
    run.confusion = { classes: [...classes], steps: [confusion.step], counts: [counts] };
    run.has_confusion = true;
  }
  return run;
}

/** Keep the wall times of one curve, so that the x axis can count time. */
function follow(
  clock: IKnown['clock'],
  tag: string,
  found: { steps: Float64Array; times: Float64Array; append: boolean }
): void {
  const isLonger = !found.append && (clock.tag === tag || found.steps.length > clock.steps.length);
  if (isLonger) {
    clock.tag = tag;
    clock.start = found.times[0] ?? 0;
    clock.steps = [];
    clock.seconds = [];
  }
  if (clock.tag === tag) {
    clock.steps.push(...found.steps);
    clock.seconds.push(...Array.from(found.times, time => time - clock.start));
  }
}

/** Put columns one after the other, as a patch has them. */
function packed(columns: readonly ArrayBufferView[]): Uint8Array {
  const bytes = new Uint8Array(columns.reduce((sum, column) => sum + column.byteLength, 0));
  let place = 0;
  for (const column of columns) {
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), place);
    place += column.byteLength;
  }
  return bytes;
}
