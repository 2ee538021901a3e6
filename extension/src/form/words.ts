import { trans } from '../translation';

/** Say what an empty value means for a parameter. */
export function emptyWord(name: string): string {
  return /dropout|stochastic_depth/.test(name)
    ? trans.__("the model's own")
    : name === 'sensitive'
      ? trans.__('those that the demo declares; none for other data')
      : trans.__('default');
}

/** What a parameter is for, where the recipe's own help speaks of the cell that a notebook has. */
export function helpWords(name: string, description: string): string {
  if (name === 'freeze') {
    return trans.__('which part of the model stays as it is');
  }
  if (name === 'unfreeze') {
    return trans.__('gradual unfreezing: from an epoch on, what is frozen instead; each step is evaluated on its own');
  }
  return description.replace(/\bNone\b/g, trans.__('empty'));
}
