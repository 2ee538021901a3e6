import { trans } from './translation';

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Write a number of bytes in few words: 1100000000 is "1.1 GB". */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size >= 100 ? Math.round(size) : Number(size.toPrecision(2))} ${units[unit]}`;
}

/** Write a count in few words: 3400000 is "3.4 M". */
export function count(value: number): string {
  if (value >= 1e9) {
    return `${(value / 1e9).toFixed(1)} G`;
  }
  if (value >= 1e6) {
    return `${(value / 1e6).toFixed(1)} M`;
  }
  return value >= 1e4 ? `${Math.round(value / 1e3)} k` : String(value);
}

/** Write a span of time: 95 is "1:35", 4000 is "1:06:40". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] > 0 ? parts : parts.slice(1);
  return shown.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

/** Write a score between 0 and 1, or any other measured number; "–" where there is none. */
export function score(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return '–';
  }
  return Math.abs(value) < 100 ? value.toFixed(digits) : value.toPrecision(4);
}

/** Write a time as a date that sorts: "2026-11-25 14:03". */
export function moment(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}`
  );
}

/** Write how long ago something was, in one word: "now", "5 min", "3 h", "12 d", "2 y". */
export function age(seconds: number, now: number = Date.now() / 1000): string {
  const past = Math.max(0, now - seconds);
  const steps: [number, string][] = [
    [365 * 86400, 'y'],
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min']
  ];
  for (const [length, unit] of steps) {
    if (past >= length) {
      return `${Math.floor(past / length)} ${unit}`;
    }
  }
  return trans.__('now');
}

/** Write two scores in as many digits as tell them apart. */
export function scores(first: number, second: number, digits = 2): [string, string] {
  for (let more = digits; more < 6; more += 1) {
    if (score(first, more) !== score(second, more)) {
      return [score(first, more), score(second, more)];
    }
  }
  return [score(first, digits), score(second, digits)];
}

/** Write any recipe value as the parameters cell would show it. */
export function literal(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  return typeof value === 'string' ? value || '""' : JSON.stringify(value);
}
