/**
 * Colours of curves. Okabe and Ito (2008), "Color Universal Design": told apart with any kind of colour vision; the second
 * list holds those of them that stand out from a dark page.
 */

const ON_LIGHT = ['#0072b2', '#d55e00', '#009e73', '#b8548c', '#3a93c9', '#a87400', '#5b4ba8'];
const ON_DARK = ['#56b4e9', '#e69f00', '#2fbf94', '#e08fbb', '#9ec9ff', '#f0e442', '#b5a6f5'];
/** Four dashes and seven colours: no two of 28 things that follow each other have both in common. */
const DASHES: number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const FORCED = '(forced-colors: active)';

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

/** What is saved is looked at on paper. */
export const PAPER: ITheme = {
  isDark: false,
  ink: '#1f2328',
  faint: '#59636e',
  grid: '#e3e6ea',
  surface: '#ffffff',
  best: ON_LIGHT[2],
  accent: '#1f6feb',
  font: 'sans-serif'
};

/** Read the colours in force where an element stands; those of the system where it forces its own. */
export function readTheme(host: HTMLElement): ITheme {
  if (matchMedia(FORCED).matches) {
    return forcedTheme(host);
  }
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

/** Return the dashes of the n-th thing: neighbours differ by them as well, for who tells no colours apart. */
export function dashes(index: number): number[] {
  return DASHES[index % DASHES.length];
}

function forcedTheme(host: HTMLElement): ITheme {
  const probe = document.createElement('span');
  host.append(probe);
  const system = (name: string): string => {
    probe.style.color = name;
    return getComputedStyle(probe).color;
  };
  const [ink, surface, accent] = [system('CanvasText'), system('Canvas'), system('Highlight')];
  probe.remove();
  const isDark = luminance(ink) > 0.5;
  const font = getComputedStyle(host).fontFamily || 'sans-serif';
  // A canvas keeps its colours: those of the curves still tell them apart.
  return { isDark, ink, faint: ink, grid: ink, surface, best: isDark ? ON_DARK[2] : ON_LIGHT[2], accent, font };
}

/** Return red, green and blue of a CSS colour, from 0 to 255. */
export function channels(css: string): number[] {
  if (css.startsWith('#')) {
    const whole = css.length === 4 ? css.replace(/[0-9a-f]/gi, '$&$&') : css;
    return [1, 3, 5].map(i => parseInt(whole.slice(i, i + 2), 16));
  }
  const parts = css.match(/[\d.]+/g)?.map(Number) ?? [];
  const scale = css.startsWith('color(') ? 255 : 1;
  return parts.length >= 3 ? parts.slice(0, 3).map(part => part * scale) : css === 'white' ? [255, 255, 255] : [17, 17, 17];
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
 * One that is not drawn has no transitions: it is looked at again when it comes into view.
 */
export function onThemeChange(host: HTMLElement, callback: () => void): () => void {
  const probe = document.createElement('span');
  probe.className = 'tb-probe';
  probe.setAttribute('aria-hidden', 'true');
  let known = '';
  const tell = (): void => {
    known = colours(host);
    callback();
  };
  const look = (): void => {
    if (colours(host) !== known) {
      tell();
    }
  };
  // A sheet of styles that comes while the transition goes on cancels it: the colour is there all the same.
  const ends = ['transitionend', 'transitioncancel'];
  ends.forEach(end => probe.addEventListener(end, tell));
  host.append(probe);
  const media = matchMedia(FORCED);
  media.addEventListener('change', tell);
  const sight = new IntersectionObserver(entries => {
    if (!entries[entries.length - 1].isIntersecting) {
      return;
    }
    if (known === '') {
      known = colours(host); // it was drawn with these
    } else {
      look();
    }
  });
  sight.observe(host);
  return () => {
    ends.forEach(end => probe.removeEventListener(end, tell));
    media.removeEventListener('change', tell);
    sight.disconnect();
    probe.remove();
  };
}

function colours(host: HTMLElement): string {
  const style = getComputedStyle(host);
  return [style.color, style.getPropertyValue('--tb-surface'), style.getPropertyValue('--tb-line')].join();
}
