/** The control panel: its head, a page for each kind of parameter, and the strip of costs, in one widget. */

import './panel.css';
import { ClassView } from './class-view';
import { FormPage } from './form-page';
import { watchKernel } from './kernel';
import { LayerView } from './layer-view';
import { renderCost } from './panel-cost';
import { KERNEL_EVENT, make } from './panel-dom';
import { renderHeader } from './panel-header';
import type { IRenderContext } from './panel-model';
import { partOf } from './panel-part';
import { Tabs } from './panel-tabs';

function render({ model, el }: IRenderContext): () => void {
  const root = make('div', 'tbp tunebook-panel', { 'data-lm-suppress-shortcuts': 'true' });
  const head = make('div');
  const cost = make('div');
  const ends: (() => void)[] = [];
  const tabs = new Tabs(
    {
      Layers: host => {
        const view = new LayerView(partOf(model, 'layers'), host);
        ends.push(() => view.destroy());
      },
      Classes: host => {
        const view = new ClassView(partOf(model, 'classes'), host);
        ends.push(() => view.destroy());
      },
      Regularisation: host => ends.push(new FormPage(partOf(model, 'form'), host, 'Regularisation').end),
      Schedule: host => ends.push(new FormPage(partOf(model, 'form'), host, 'Schedule').end)
    },
    'pages of the control panel'
  );
  root.append(head, tabs.element, cost);
  el.append(root);
  tabs.choose('Layers');
  const part = (name: string, host: HTMLElement): IRenderContext => ({ model: partOf(model, name), el: host });
  ends.push(renderHeader(part('header', head), root), renderCost(part('cost', cost)));
  ends.push(
    watchKernel(model, () => {
      tabs.element.inert = true;
      root.dispatchEvent(new CustomEvent(KERNEL_EVENT));
    })
  );
  return () => {
    ends.forEach(end => end());
    root.remove();
  };
}

export default { render };
