/** What the kernel says of the layers under the recipe as it stands. */

import type { ILive } from './panel-model';

export interface IPhase {
  epoch: number;
  words: string;
  rows: string;
}

export interface ILayerState {
  phases: IPhase[];
  preset: string;
  epochs: number;
  lr: number;
  decay: number;
  live: ILive | null;
}

export const FROZEN = '0';
export const PARTLY = '1';
export const TRAINING = '2';

/** Returns the epoch, from 0, from which a row trains at least in part; `null` for never. */
export function startOf(state: ILayerState, row: number): number | null {
  const phase = state.phases.find(part => part.rows[row] !== FROZEN && part.epoch < state.epochs);
  return phase ? phase.epoch : null;
}

/** Says when something trains that begins with an epoch. */
export function startWords(epoch: number | null): string {
  return epoch === null ? 'frozen' : epoch === 0 ? 'from the start' : `from epoch ${epoch + 1}`;
}

/** Says how a row is in a phase. */
export function stateWords(state: string): string {
  return state === TRAINING ? 'trains' : state === PARTLY ? 'trains in part' : 'frozen';
}
