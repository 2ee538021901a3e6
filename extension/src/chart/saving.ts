/** Saving a chart: as a picture, as a drawing, and as the numbers that it is made of. */

import { element } from './element';
import type { Figure } from './figure';

/** What a chart can be saved as; what cannot be made now is undefined. */
export interface ISaved {
  /** What the file is called, without an ending; any text. */
  name: string;
  figure?: () => Figure | undefined;
  /** Rows of cells, the heads first. */
  rows?: () => readonly (readonly Cell[])[] | undefined;
}

export type Cell = string | number | null | undefined;

/** Pixels of a PNG for a CSS pixel. */
const SHARPNESS = 2;
/** What a spreadsheet program takes for the beginning of a formula, and what it passes over before it. */
const FORMULA = /^[\s'"\p{Cf}\p{Cc},;]*[=+\-@＝＋－＠|%]|^[\t\r\n]/u;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** Write rows as CSV; a text that could be taken for a formula gets an apostrophe before it. */
export function csvText(rows: readonly (readonly Cell[])[]): string {
  return rows.map(row => `${row.map(written).join(',')}\n`).join('');
}

function written(cell: Cell): string {
  if (typeof cell === 'number') {
    return Number.isFinite(cell) ? String(Number(cell.toPrecision(9))) : '';
  }
  const text = cell ?? '';
  const harmless = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(harmless) ? `"${harmless.replace(/"/g, '""')}"` : harmless;
}

/** Return a name for a file: letters, digits and dashes of any text. */
export function fileName(text: string): string {
  const plain = text.normalize('NFC').replace(/[^\p{L}\p{N}._-]+/gu, '-');
  return plain.replace(/^[-._]+|[-._]+$/g, '').slice(0, 80) || 'chart';
}

/** Make the button with which a chart is saved, and its menu; `named` stands for what changes its name. */
export function saveMenu(what: () => ISaved, named = what().name): HTMLElement {
  const root = element('span', 'tb-save');
  const button = element('button', 'tb-save-button');
  button.type = 'button';
  button.title = 'Save';
  button.setAttribute('aria-haspopup', 'true');
  button.setAttribute('aria-label', `Save ${named}`);
  button.append(arrow());
  const menu = element('span', 'tb-save-menu');
  menu.setAttribute('role', 'group');
  menu.setAttribute('aria-label', 'Save as');
  const open = (isOpen: boolean): void => {
    menu.hidden = !isOpen;
    button.setAttribute('aria-expanded', String(isOpen));
  };
  open(false);
  button.addEventListener('click', () => {
    const { figure, rows } = what();
    menu.replaceChildren();
    const kinds = [...(figure ? ['PNG', 'SVG'] : []), ...(rows ? ['CSV'] : [])];
    for (const kind of kinds) {
      const item = element('button', 'tb-button');
      item.type = 'button';
      item.textContent = kind;
      item.addEventListener('click', () => {
        open(false);
        button.focus();
        void save(what(), kind);
      });
      menu.append(item);
    }
    open(menu.hidden);
  });
  root.addEventListener('keydown', event => {
    if (event.key === 'Escape' && !menu.hidden) {
      open(false);
      button.focus();
      event.stopPropagation();
    }
  });
  root.addEventListener('focusout', event => {
    if (!(event.relatedTarget instanceof Node && root.contains(event.relatedTarget))) {
      open(false);
    }
  });
  root.append(button, menu);
  return root;
}

async function save(what: ISaved, kind: string): Promise<void> {
  const name = fileName(what.name);
  if (kind === 'CSV') {
    const rows = what.rows?.();
    if (rows) {
      download(new Blob([csvText(rows)], { type: 'text/csv;charset=utf-8' }), `${name}.csv`);
    }
    return;
  }
  const figure = what.figure?.();
  if (!figure) {
    return;
  }
  const drawing = new Blob([figure.toString()], { type: 'image/svg+xml' });
  const blob = kind === 'SVG' ? drawing : await picture(drawing, figure);
  download(blob, `${name}.${kind.toLowerCase()}`);
}

/** Draw an SVG as a PNG. */
async function picture(drawing: Blob, figure: Figure): Promise<Blob> {
  const url = URL.createObjectURL(drawing);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = element('canvas');
    [canvas.width, canvas.height] = [figure.width * SHARPNESS, figure.height * SHARPNESS];
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob(blob => (blob ? done(blob) : fail(new Error('the picture is too large'))), 'image/png')
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Give a file to the browser's downloads. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = element('a');
  link.href = url;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function arrow(): SVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', 'M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11');
  svg.append(path);
  return svg;
}
