/** A name in parts, of which the first gives way first where there is no room for all. */
export interface INameParts {
  /** What all names that are listed begin with. */
  readonly common: string;
  /** What the names nearest to this one begin with as well. */
  readonly shared: string;
  /** The word in which it is another one than they are. */
  readonly own: string;
  /** What comes between that and its end. */
  readonly rest: string;
  /** Its last word. */
  readonly end: string;
}

/** Fewer letters than these are not worth an ellipsis. */
const FEW = 4;
/** A word with more letters than these has no place kept for it. */
const LONG = 14;

/**
 * Cut names into what they share with others and what they do not, so that a narrow list leaves out the former.
 *
 * Names are compared with their neighbours in the order of the alphabet, which are those that they share most with.
 */
export function nameParts(names: Iterable<string>): Map<string, INameParts> {
  const sorted = [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const all = sorted.length > 1 ? shared(sorted[0], sorted[sorted.length - 1]) : 0;
  const found = new Map<string, INameParts>();
  sorted.forEach((name, place) => {
    const before = place > 0 ? shared(name, sorted[place - 1]) : 0;
    const after = place < sorted.length - 1 ? shared(name, sorted[place + 1]) : 0;
    const common = wordStart(name, all);
    const own = Math.max(common, wordStart(name, Math.max(before, after)));
    const first = common < FEW ? 0 : common;
    const second = own - first < FEW ? first : own;
    const [word, rest, end] = inThree(name.slice(second));
    found.set(name, { common: name.slice(0, first), shared: name.slice(first, second), own: word, rest, end });
  });
  return found;
}

/** Cut what is a name's own into its first word, what follows, and its last word. */
function inThree(text: string): [string, string, string] {
  const words = text.match(/[^_\s\-/|,:;]+[_\s\-/|,:;]*|^[_\s\-/|,:;]+/g) ?? [text];
  if (words.length < 3) {
    return [text, '', ''];
  }
  const first = words[0];
  const last = words[words.length - 1];
  const rest = text.slice(first.length, text.length - last.length);
  // A last word that is long would push the first one out.
  return rest.length < FEW || last.length > LONG ? [text, '', ''] : [first, rest, last];
}

/** How many letters two names begin with alike. */
function shared(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let count = 0;
  while (count < most && a[count] === b[count]) {
    count += 1;
  }
  return count;
}

/** Where the word begins in which a place lies: "lr-0.01" against "lr-0.02" differs from "0.01" on. */
function wordStart(name: string, place: number): number {
  let start = Math.min(place, name.length);
  const isPart = (letter: string): boolean => /[^\s_\-/|,:;]/.test(letter);
  while (start > 0 && place - start < 12 && isPart(name[start - 1])) {
    start -= 1;
  }
  // Half of a letter outside of the basic plane is none.
  return start > 0 && /[\uDC00-\uDFFF]/.test(name[start] ?? '') ? start - 1 : start;
}
