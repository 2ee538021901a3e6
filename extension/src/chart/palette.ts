/**
 * Colours of curves. Okabe and Ito (2008), "Color Universal Design": told apart with any kind of colour vision; the second
 * list holds those of them that stand out from a dark page.
 */

const ON_LIGHT = ['#0072b2', '#d55e00', '#009e73', '#b8548c', '#3a93c9', '#a87400', '#5b4ba8'];
const ON_DARK = ['#56b4e9', '#e69f00', '#2fbf94', '#e08fbb', '#9ec9ff', '#f0e442', '#b5a6f5'];
const DASHES: number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

/** What is drawn with what on the page as it looks now. */
export interface ITheme {
  /** Whether text is lighter than what is behind it. */
  isDark: boolean;
  /** Text. */
  ink: string;
  /** Text that matters less. */
  faint: string;
  /** Lines of a grid. */
  grid: string;
  /** The page. */
  surface: string;
  /** What is best. */
  best: string;
  /** What a hand can do. */
  accent: string;
  /** Font of the page. */
  font: string;
}

/** Read the colours in force where an element stands. */
export function readTheme(host: HTMLElement): ITheme {
  const style = getComputedStyle(host);
  const value = (name: string, otherwise: string): string => {
    const found = style.getPropertyValue(name).trim();
    return found && !found.includes('var(') ? found : otherwise;
  };
  const ink = style.color || '#1f2328';
  const isDark = luminance(ink) > 0.5;
  return {
    isDark,
    ink,
    faint: value('--tb-faint', isDark ? '#9198a1' : '#59636e'),
    grid: value('--tb-line', isDark ? '#33383e' : '#e3e6ea'),
    surface: value('--tb-surface', isDark ? '#111111' : '#ffffff'),
    best: isDark ? ON_DARK[2] : ON_LIGHT[2],
    accent: value('--tb-accent', isDark ? '#58a6ff' : '#1f6feb'),
    font: style.fontFamily || 'sans-serif'
  };
}

/** Return the colour of the n-th thing that is told apart from others. */
export function colour(index: number, theme: ITheme): string {
  const list = theme.isDark ? ON_DARK : ON_LIGHT;
  return list[index % list.length];
}

/** Return the dashes of the n-th thing: plain until the colours are used up. */
export function dashes(index: number): number[] {
  return DASHES[Math.floor(index / ON_LIGHT.length) % DASHES.length];
}

/** Return how light a CSS colour is that the browser has resolved, from 0 to 1. */
export function luminance(css: string): number {
  const parts = css.match(/[\d.]+/g)?.map(Number) ?? [];
  if (parts.length < 3) {
    return 0;
  }
  const scale = css.startsWith('color(') ? 1 : 255;
  return (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / scale;
}

/**
 * Call back whenever the colours around an element change, whoever changes them.
 *
 * No two notebooks tell a change of theme alike; but an element whose text colour has a transition hears of every change.
 */
export function onThemeChange(host: HTMLElement, callback: () => void): () => void {
  const probe = document.createElement('span');
  probe.className = 'tb-probe';
  probe.setAttribute('aria-hidden', 'true');
  // A sheet of styles that comes while the transition goes on cancels it: the colour is there all the same.
  const ends = ['transitionend', 'transitioncancel'];
  ends.forEach(end => probe.addEventListener(end, callback));
  host.append(probe);
  return () => {
    ends.forEach(end => probe.removeEventListener(end, callback));
    probe.remove();
  };
}
