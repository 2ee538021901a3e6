/** Numbers and times in few characters. */

/** Write a number for an axis: 0.25, 1,200, 35k, 2e-4. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) {
    return '–';
  }
  if (size === 0) {
    return '0';
  }
  if (size >= 1e9 || size < 1e-3) {
    return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e');
  }
  if (size >= 1e6) {
    return `${trimmed(value / 1e6, 2)}M`;
  }
  if (size >= 1e4) {
    return `${trimmed(value / 1e3, 1)}k`;
  }
  return size >= 1e3 ? thousands(value) : trimmed(value, 4);
}

/** Write a number for reading it: four significant digits. */
export function precise(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return '–';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) {
    return value.toExponential(2).replace('e+', 'e');
  }
  if (size >= 1e4) {
    return thousands(Math.round(value));
  }
  return size >= 100 ? trimmed(value, 1) : size >= 10 ? value.toFixed(2) : value.toFixed(size < 0.1 && size > 0 ? 4 : 3);
}

/** Write a whole number with thin groups: 1,234,567. */
export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Write a time as m:ss or h:mm:ss. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
