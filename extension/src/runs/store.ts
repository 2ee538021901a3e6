import { Poll } from '@lumino/polling';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { IRunRow, ITrials } from '../contract';
import type { IPreferences } from '../preferences';
import type { Server } from '../server';

/** Time in ms between two questions: while the server still reads logs, and otherwise. */
const SOON = 300;
const OFTEN = 2000;
const SELDOM = 60_000;

/** What is known of the runs: kept up to date while anybody looks. */
export class RunStore implements IDisposable {
  constructor(
    private readonly server: Server,
    private readonly preferences: IPreferences
  ) {
    this.poll = new Poll({
      name: 'tunebook:runs',
      auto: false,
      factory: () => this.ask(),
      frequency: { interval: OFTEN, backoff: true, max: SELDOM },
      standby: () => (this.isWatched || this.hasLive ? 'when-hidden' : true)
    });
    preferences.changed.connect(this.forget, this);
  }

  /** Rows by path. */
  readonly rows = new Map<string, IRunRow>();
  /** Trials of sweeps that were unfolded, by path. */
  readonly trials = new Map<string, ITrials>();
  /** Why nothing is known, or is no longer up to date. */
  failure: unknown;
  /** Whether an answer has come. */
  isLoaded = false;
  /** Sparklines that the server still works on. */
  pending = 0;
  isTruncated = false;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this.poll.isDisposed;
  }

  dispose(): void {
    this.poll.dispose();
    Signal.clearData(this);
  }

  /** Somebody looks, or looks no longer. */
  watch(isWatched: boolean): void {
    this.isWatched = isWatched;
    if (isWatched) {
      void this.refresh();
    }
  }

  /** Ask now, after something was done. */
  async refresh(): Promise<void> {
    if (!this.isDisposed) {
      await this.poll.refresh();
      await this.poll.tick.catch(() => undefined);
    }
  }

  /** Keep the trials of a sweep up to date as well, or no longer. */
  unfold(path: string, isUnfolded: boolean): void {
    if (isUnfolded) {
      this.unfolded.add(path);
      void this.askTrials(path);
    } else {
      this.unfolded.delete(path);
      this.trials.delete(path);
    }
  }

  /** Whether a background run is under way, whose end is told of. */
  private get hasLive(): boolean {
    return [...this.rows.values()].some(row => row.job !== '' && (row.state === 'running' || row.state === 'queued'));
  }

  private forget(): void {
    this.token = '';
    if (this.isLoaded) {
      void this.refresh();
    }
  }

  private async ask(): Promise<void> {
    try {
      let changed = this.failure !== undefined || !this.isLoaded;
      const list = await this.server.runs(this.preferences.folder, this.token);
      if (list.full) {
        this.rows.clear();
        changed = true;
      }
      for (const row of list.runs) {
        this.rows.set(row.path, row);
        changed = true;
        if (this.unfolded.has(row.path)) {
          void this.askTrials(row.path);
        }
      }
      for (const path of list.removed) {
        changed = this.rows.delete(path) || changed;
      }
      this.token = list.token;
      this.failure = undefined;
      this.isLoaded = true;
      this.pending = list.pending;
      this.isTruncated = list.truncated;
      if (changed) {
        this._changed.emit();
      }
      const interval = list.pending > 0 ? SOON : OFTEN;
      if (interval !== this.poll.frequency.interval) {
        this.poll.frequency = { ...this.poll.frequency, interval };
      }
    } catch (error) {
      this.failure = error;
      this._changed.emit();
      throw error; // the poll waits longer before it asks again
    }
  }

  private async askTrials(path: string): Promise<void> {
    try {
      this.trials.set(path, await this.server.trials(path));
      this._changed.emit();
    } catch {
      // The sweep's own row tells of what is wrong with it.
    }
  }

  private token = '';
  private isWatched = false;
  private readonly unfolded = new Set<string>();
  private readonly poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
}
