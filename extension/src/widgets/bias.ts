/** The bias report's view. All of it is here: the kernel is asked for nothing. */

import './bias.css';
import type { IBiasDocument } from './bias-model';
import { BiasReportView } from './bias-view';
import type { IRenderContext } from './curves-model';

function render({ model, el }: IRenderContext): () => void {
  const chosen = model.get('chosen') as Record<'attribute' | 'split' | 'metric', number>;
  const view = new BiasReportView(el, model.get('document') as IBiasDocument, chosen);
  return () => view.destroy();
}

export default { render };
