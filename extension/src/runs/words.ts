import type { IRunRow } from '../contract';
import { bytes, duration, moment, score, scores } from '../quantities';
import { trans } from '../translation';

/** Say in a few words how a run stands: "epoch 5 of 6", "finished", "failed: full disk". */
export function standing(row: IRunRow): string {
  switch (row.state) {
    case 'running':
      return running(row);
    case 'queued':
      return row.position === null || row.position === 0
        ? trans.__('queued')
        : trans.__('queued, %1 before it', row.position);
    case 'finished':
      if (isBelow(row)) {
        return below(row);
      }
      return row.trials ? trans.__('finished · %1 trials', row.trials.done) : trans.__('finished');
    default:
      return row.message ? `${stateWord(row)}: ${row.message}` : stateWord(row);
  }
}

function running(row: IRunRow): string {
  const parts = [];
  if (row.paused) {
    parts.push(trans.__('paused'));
  }
  if (row.trials) {
    parts.push(trans.__('%1 of %2 trials', row.trials.done, row.trials.total));
  } else if (row.epochs > 0 && (row.step > 0 || row.epoch > 0)) {
    parts.push(trans.__('epoch %1 of %2', Math.min(row.epoch + 1, row.epochs), row.epochs));
  } else {
    parts.push(row.phase || trans.__('running'));
  }
  return parts.join(' · ');
}

/** Whether a run finished with a model that is worse on the test set than its baseline. */
export function isBelow(row: Pick<IRunRow, 'state' | 'baseline' | 'metric'>): boolean {
  return row.state === 'finished' && row.metric !== null && row.baseline !== null && row.metric < row.baseline;
}

/** Say that a model is worse than its baseline, with both figures. */
export function below(row: Pick<IRunRow, 'baseline' | 'metric'>): string {
  const [before, after] = scores(row.baseline ?? NaN, row.metric ?? NaN, 3);
  return trans.__('below its baseline: %1 against %2', after, before);
}

/** The mark of a run's state: a class of its dot. */
export function mark(row: IRunRow): string {
  return isBelow(row) ? 'below' : row.paused ? 'paused' : row.state;
}

/** Say how long a run will go on; empty while that is not known. */
export function timeLeft(row: IRunRow): string {
  const isKnown = row.state === 'running' && !row.paused && row.seconds_left !== null;
  return isKnown ? trans.__('%1 left', duration(row.seconds_left ?? 0)) : '';
}

/** Say how a run ended, with what it reached. */
export function ending(row: IRunRow): string {
  if (row.state === 'finished' && row.metric !== null && row.baseline !== null && !isBelow(row)) {
    const [before, after] = scores(row.baseline, row.metric, 3);
    return trans.__('finished, test accuracy %1 against %2 of its baseline', after, before);
  }
  return standing(row);
}

/** Name a run's state. */
export function stateWord(row: IRunRow): string {
  const words: Record<string, string> = {
    queued: trans.__('queued'),
    running: trans.__('running'),
    finished: trans.__('finished'),
    stopped: trans.__('stopped'),
    failed: trans.__('failed'),
    died: trans.__('died'),
    unreadable: trans.__('unreadable')
  };
  if (isBelow(row)) {
    return trans.__('below its baseline');
  }
  return row.state === 'running' && row.paused ? trans.__('paused') : (words[row.state] ?? row.state);
}

/** Say all that a row stands for, for a tooltip and for ears. */
export function spoken(row: IRunRow): string {
  const parts = [row.name, standing(row), timeLeft(row)].filter(Boolean);
  if (row.best) {
    const where = row.best.trial !== undefined ? trans.__('trial %1', row.best.trial) : '';
    parts.push([trans.__('best validation %1 %2', row.best.name, score(row.best.value, 3)), where].filter(Boolean).join(', '));
  }
  if (row.metric !== null) {
    parts.push(
      row.baseline === null
        ? trans.__('test accuracy %1', score(row.metric, 3))
        : trans.__('test accuracy %1, baseline %2', score(row.metric, 3), score(row.baseline, 3))
    );
  }
  if (row.gap !== null) {
    parts.push(trans.__('gap between groups %1', score(row.gap, 3)));
  }
  if (row.trials && row.state !== 'running') {
    parts.push(trans.__('%1 of %2 trials', row.trials.done, row.trials.total));
  }
  parts.push([row.model, row.data].filter(Boolean).join(trans.__(' on ')));
  parts.push(
    Object.entries(row.chosen)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
  );
  parts.push(row.star ? trans.__('starred') : '', row.tags.map(tag => `#${tag}`).join(' '), row.note);
  return parts.filter(Boolean).join(' · ');
}

/** The lines of the strip below the list: what is known of one run. */
export function facts(row: IRunRow): string[] {
  const found = [];
  if (row.model || row.data) {
    found.push([row.model, row.data].filter(Boolean).join(' · '));
  }
  if (row.metric !== null && row.baseline !== null && !isBelow(row)) {
    const [before, after] = scores(row.baseline, row.metric, 3);
    found.push(trans.__('test accuracy %1, baseline %2', after, before));
  }
  const chosen = Object.entries(row.chosen).map(([name, value]) => `${name} ${value}`);
  if (chosen.length > 0) {
    found.push(chosen.join(' · '));
  }
  if (row.freeze || timeLeft(row)) {
    found.push([row.freeze, timeLeft(row)].filter(Boolean).join(' · '));
  }
  if (row.state === 'running') {
    const speed = row.examples_per_second ? trans.__('%1 examples/s', Math.round(row.examples_per_second)) : '';
    const memory = row.memory ? bytes(row.memory) : '';
    const rate = row.lr !== null ? `lr ${row.lr.toPrecision(3)}` : '';
    found.push([speed, memory, rate].filter(Boolean).join(' · '));
  } else if (row.finished || row.started) {
    found.push(moment(row.finished || row.started));
  }
  return found.filter(Boolean);
}
