/** The strip below the panel: what the recipe will cost, and the change that would make it fit. */

import { begin, button, Line, make } from './panel-dom';
import { follow, IRenderContext } from './panel-model';

interface IFigure {
  value: string;
  label: string;
  share?: number;
  tone?: string;
}

interface ICostState {
  figures: IFigure[];
  advice: string;
  change: string;
  fits: boolean;
}

/** Draws the strip. */
export function renderCost({ model, el }: IRenderContext): () => void {
  const root = begin(el, 'cost');
  const figures = make('div', 'tbp-figures', { role: 'list', 'aria-label': 'what this recipe costs' });
  const warning = make('div', 'tbp-warning', { role: 'status' });
  const line = new Line();
  root.append(figures, warning, line.element);
  const draw = (): void => {
    const state = model.get('state') as ICostState;
    figures.replaceChildren(...state.figures.map(figure));
    warning.replaceChildren();
    warning.classList.toggle('tbp-over', !state.fits);
    if (state.advice) {
      warning.append(make('span', 'tbp-advice', {}, state.advice));
      if (state.change) {
        warning.append(button(`Set ${state.change}`, 'tbp-main', () => model.send({ do: 'fit' })));
      }
    }
  };
  draw();
  return follow(model, draw, message => line.say(String(message.refused ?? ''), true));
}

function figure({ value, label, share, tone }: IFigure): HTMLElement {
  const made = make(
    'div',
    `tbp-figure${tone ? ` tbp-${tone}` : ''}`,
    { role: 'listitem' },
    make('span', 'tbp-amount', {}, value),
    make('span', 'tbp-what-of', {}, label)
  );
  if (share !== undefined) {
    const fill = make('span', 'tbp-fill');
    fill.style.width = `${100 * Math.min(share, 1)}%`;
    made.append(make('span', 'tbp-track', { 'aria-hidden': 'true' }, fill));
  }
  return made;
}
