import { LabIcon } from '@jupyterlab/ui-components';

function drawn(name: string, body: string): LabIcon {
  return new LabIcon({
    name: `tunebook:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16">${body}</svg>`
  });
}

/** A tuning slider: the mark of Tunebook. */
export const tunebookIcon = drawn(
  'mark',
  '<g class="jp-icon3" fill="#616161"><path d="M5 3h2v6H5zM5 15h2v6H5zM11 3h2v2h-2zM11 11h2v10h-2zM17 3h2v9h-2zM17 18h2v3h-2z"/>' +
    '<path d="M3 10.5h6v3H3zM9 6.5h6v3H9zM15 13.5h6v3h-6z"/></g>'
);

/** Pictures in a grid. */
const imageIcon = drawn(
  'image',
  '<path class="jp-icon3" fill="#616161" d="M4 4h4.5v4.5H4zM9.8 4h4.5v4.5H9.8zM15.6 4H20v4.5h-4.4zM4 9.8h4.5v4.5H4z' +
    'M9.8 9.8h4.5v4.5H9.8zM15.6 9.8H20v4.5h-4.4zM4 15.6h4.5V20H4zM9.8 15.6h4.5V20H9.8zM15.6 15.6H20V20h-4.4z"/>'
);

/** Lines of text. */
const textIcon = drawn(
  'text',
  '<path class="jp-icon3" fill="#616161" d="M4 5h16v2H4zM4 9.3h11v2H4zM4 13.6h16v2H4zM4 17.9h8v2H4z"/>'
);

/** Waves: a search over values. */
const searchIcon = drawn(
  'search',
  '<path class="jp-icon3" stroke="#616161" stroke-width="2" style="fill:none" ' +
    'd="M3 8c3-4 6-4 9 0s6 4 9 0M3 13c3-4 6-4 9 0s6 4 9 0M3 18c3-4 6-4 9 0s6 4 9 0"/>'
);

/** Curves that fall. */
export const curvesIcon = drawn(
  'curves',
  '<path class="jp-icon3" fill="#616161" d="M3 3h2v16h16v2H3zM7 5.500h2c1 5.500 4 8.500 11 9v2C11.500 16 8 12.500 7 5.500z"/>'
);

const known: Record<string, LabIcon> = {
  image: imageIcon,
  images: imageIcon,
  'image-classification': imageIcon,
  text: textIcon,
  'text-classification': textIcon,
  search: searchIcon,
  sweep: searchIcon
};

/** The picture of a template, by the name that the server gives; Tunebook's mark for what is unknown. */
export function templateIcon(...names: string[]): LabIcon {
  for (const name of names) {
    if (Object.prototype.hasOwnProperty.call(known, name)) {
      return known[name];
    }
  }
  return tunebookIcon;
}
