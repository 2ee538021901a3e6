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

/** Write the ticks of an axis; those that lie close to each other get the digits that tell them apart. */
export function distinct(ticks: readonly (number | null)[]): string[] {
  const plain = ticks.map(tick => (tick === null ? '' : short(tick)));
  const known = plain.filter(Boolean);
  if (new Set(known).size === known.length) {
    return plain;
  }
  for (let digits = 3; digits < 12; digits++) {
    const longer = ticks.map(tick => (tick === null ? '' : String(Number(tick.toPrecision(digits)))));
    if (new Set(longer.filter(Boolean)).size === known.length) {
      return longer;
    }
  }
  return plain;
}

/** Shorten names in their middle, no further than that they still differ. */
export function distinctNames(names: readonly string[], most = 26): string[] {
  const all = new Set(names).size;
  const longest = Math.max(0, ...names.map(name => name.length));
  for (let room = most; room < longest; room += 6) {
    const cut = names.map(name => middleCut(name, room));
    if (new Set(cut).size === all) {
      return cut;
    }
  }
  return [...names];
}

function middleCut(name: string, room: number): string {
  const signs = [...name];
  const head = Math.floor((room - 1) * 0.4);
  return signs.length <= room ? name : `${signs.slice(0, head).join('')}…${signs.slice(head + 1 - room).join('')}`;
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
