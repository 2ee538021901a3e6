/** Which curves stand together in a chart, made from their tags alone, so that logs of other programs are shown as well. */

/** A curve's part in its chart. */
export interface IPart {
  tag: string;
  /** What it is called beside the others; empty where it is alone. */
  label: string;
  /** Colour and dashes among the chart's curves, if there is one run. */
  hue: number;
  dash: number;
  /** A curve of every step. */
  isFine: boolean;
  /** Drawn lightly, as what is trained on. */
  isLight: boolean;
}

export interface IPanel {
  title: string;
  parts: IPart[];
  /** Shown at first, or among the details. */
  isMain: boolean;
}

const TITLES = new Map([
  ['loss', 'Loss'],
  ['accuracy', 'Accuracy'],
  ['macro_f1', 'Macro-F1'],
  ['roc_auc', 'ROC AUC'],
  ['average_precision', 'Average precision'],
  ['specificity', 'Specificity'],
  ['lr', 'Learning rate'],
  ['calibration_error', 'Calibration error'],
  ['grad_norm', 'Gradient norm'],
  ['gap', 'Gap between groups'],
  ['largest_gap', 'Largest gap between groups'],
  ['speed', 'Examples a second'],
  ['memory', 'Memory, MB'],
  ['trainable_parameters', 'Parameters that train']
]);
/** A map, since a tag may be called as what every object has. */
const DASHES = new Map([['train', 1], ['each step', 0], ['validation', 0], ['val', 0], ['valid', 0], ['eval', 0], ['test', 2]]);
const MAIN = ['loss', 'accuracy', 'macro_f1', 'lr', 'gap'];
const SPLITS = ['train', 'validation', 'val', 'valid', 'eval', 'test'];
/** Shown in other ways, or of no use as curves. */
const HIDDEN = /^(epoch|best\/.*|recall\/.*|train\/epoch_loss)$/;
/** A curve alone in its chart whose name says more than the chart's. */
const NAMED = /^(gap|lr)\//;
/** More curves than this in one chart cannot be told apart. */
const MOST = 8;

/**
 * Sort tags into charts.
 *
 * @param chosen - tags of what chooses the best epochs: they are main curves too
 */
export function panelsOf(tags: readonly string[], chosen: readonly string[] = []): IPanel[] {
  const groups = new Map<string, IPart[]>();
  for (const tag of tags) {
    if (HIDDEN.test(tag)) {
      continue;
    }
    const { group, part } = placed(tag);
    const parts = groups.get(group) ?? [];
    parts.push(part);
    groups.set(group, parts);
  }
  const names = [...groups.keys()];
  const rank = (name: string): number => (MAIN.includes(name) ? MAIN.indexOf(name) : MAIN.length);
  names.sort((a, b) => rank(a) - rank(b));
  const known = names.some(name => name === 'loss' || name === 'accuracy');
  return names.flatMap((name, index) => {
    const parts = groups.get(name) ?? [];
    const title = TITLES.get(name) ?? name;
    const panels: IPanel[] = [];
    for (let first = 0; first < parts.length; first += MOST) {
      const some = parts.slice(first, first + MOST);
      some.forEach((part, place) => {
        part.hue = splitHue(part.label) ?? place;
        // What is measured on other examples than those trained on is plain; the rest is told apart by dashes.
        part.dash = DASHES.get(part.label) ?? part.hue;
      });
      // What the heading says already.
      if (some.length === 1 && !SPLITS.includes(some[0].label) && parts.length === 1 && !NAMED.test(some[0].tag)) {
        some[0].label = '';
      }
      // A log without any of our names has no main curves: its first ones are.
      const isChosen = some.some(part => chosen.includes(part.tag));
      panels.push({ title, parts: some, isMain: isChosen || (known ? MAIN.includes(name) : index < 6) });
    }
    return panels;
  });
}

function placed(tag: string): { group: string; part: IPart } {
  const pieces = tag.split('/');
  const last = pieces[pieces.length - 1];
  const first = pieces[0];
  const part = (label: string, isFine = false): IPart => ({
    tag,
    label,
    hue: 0,
    dash: 0,
    isFine,
    isLight: label === 'train' || label === 'each step'
  });
  if (pieces.length > 1 && SPLITS.includes(last)) {
    return { group: pieces.slice(0, -1).join('/'), part: part(last) };
  }
  if (pieces.length > 1 && SPLITS.includes(first)) {
    const group = pieces.slice(1).join('/');
    const isStep = first === 'train' && group === 'loss';
    return { group, part: part(isStep ? 'each step' : first, true) };
  }
  if (pieces.length > 1) {
    return { group: first, part: part(pieces.slice(1).join('/'), first === 'lr') };
  }
  return { group: tag, part: part('', true) };
}

function splitHue(label: string): number | null {
  if (label === 'train' || label === 'each step') {
    return 0;
  }
  return label === 'validation' || label === 'val' || label === 'valid' || label === 'eval'
    ? 1
    : label === 'test'
      ? 2
      : null;
}
