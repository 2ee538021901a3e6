import { trans } from '../translation';
import { duration } from '../quantities';

/** What the training bar of a kernel says of a run. */
export interface ITraining {
  /** Path of the run directory from the folder in which the kernel works; empty where that is not known. */
  readonly path: string;
  readonly name: string;
  readonly state: string;
  readonly phase: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly paused: boolean;
  readonly secondsLeft: number | null;
}

/** How far a notebook is. */
export interface IProgress {
  /** Heading above the cell that runs; empty where there is none. */
  readonly title: string;
  /** Number of that heading, from 1, and how many there are. */
  readonly step: number;
  readonly steps: number;
  /** Number of that cell, from 1, and how many there are: all that is known of a notebook without headings. */
  readonly cell: number;
  readonly cells: number;
  readonly training: ITraining | undefined;
}

/** A cell, as far as headings are looked for. */
export interface ICellText {
  readonly isMarkdown: boolean;
  readonly source: string;
}

/** Find the heading above a cell: its words, its number among all headings from 1, and how many there are. */
export function headingAbove(cells: readonly ICellText[], index: number): Omit<IProgress, 'training'> {
  let title = '';
  let step = 0;
  let steps = 0;
  cells.forEach((cell, place) => {
    const found = cell.isMarkdown ? firstHeading(cell.source) : '';
    if (found) {
      steps += 1;
      if (place <= index) {
        step = steps;
        title = found;
      }
    }
  });
  return { title, step, steps, cell: Math.max(0, index) + 1, cells: cells.length };
}

/** The words of the first heading of a text, without the signs that make it one. */
function firstHeading(source: string): string {
  const line = source.split('\n').find(one => /^ {0,3}#{1,6}\s+\S/.test(one));
  return line ? line.replace(/^ {0,3}#+\s+/, '').replace(/[\s#]+$/, '').replace(/[*_`]/g, '').trim() : '';
}

/** Say in a few words how far a notebook is: "Tune (8 of 14) · epoch 2 of 6 · 1:12 left". */
export function progressWords(progress: IProgress): string {
  const { title, step, steps, cell, cells, training } = progress;
  const place = title ? trans.__('%1 (%2 of %3)', title, step, steps) : trans.__('cell %1 of %2', cell, cells);
  const parts = [place];
  if (training && isUnderWay(training)) {
    if (training.paused) {
      parts.push(trans.__('paused'));
    }
    if (training.epochs > 0) {
      parts.push(trans.__('epoch %1 of %2', Math.min(training.epoch + 1, training.epochs), training.epochs));
    } else if (training.phase) {
      parts.push(training.phase);
    }
    if (training.secondsLeft !== null && !training.paused) {
      parts.push(trans.__('%1 left', duration(training.secondsLeft)));
    }
  }
  return parts.join(' · ');
}

/** Whether a run trains now, or is about to. */
export function isUnderWay(training: ITraining): boolean {
  return training.state === 'running' || training.state === 'queued';
}

/** Take what a widget's message says of a run; undefined for a message about anything else. */
export function trainingOf(content: unknown): ITraining | undefined {
  const said = content as { method?: unknown; content?: Record<string, unknown> } | undefined;
  const state = said?.method === 'custom' ? said.content : undefined;
  if (state?.kind !== 'state' || typeof state.name !== 'string' || typeof state.state !== 'string') {
    return undefined;
  }
  const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return {
    path: text(state.path),
    name: state.name,
    state: state.state,
    phase: text(state.phase),
    epoch: number(state.epoch),
    epochs: number(state.epochs),
    paused: state.paused === true,
    secondsLeft: typeof state.seconds_left === 'number' ? state.seconds_left : null
  };
}
