/** A short piece of a line, as a chart draws it: colour and dashes, which forced colours leave alone. */

const SPACE = 'http://www.w3.org/2000/svg';

/** Make the sample of a line beside its name. */
export function swatch(stroke: string, dash: readonly number[], width = 2, hasDots = false): SVGElement {
  const svg = document.createElementNS(SPACE, 'svg');
  svg.setAttribute('class', 'tb-swatch');
  svg.setAttribute('viewBox', '0 0 24 10');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SPACE, 'line');
  const places = { x1: 0, x2: 24, y1: 5, y2: 5, stroke, 'stroke-width': width, 'stroke-dasharray': dash.join(' ') };
  for (const [name, value] of Object.entries(places)) {
    line.setAttribute(name, String(value));
  }
  svg.append(line);
  if (hasDots) {
    const dot = document.createElementNS(SPACE, 'circle');
    for (const [name, value] of Object.entries({ cx: 12, cy: 5, r: 3, fill: stroke })) {
      dot.setAttribute(name, String(value));
    }
    svg.append(dot);
  }
  return svg;
}
