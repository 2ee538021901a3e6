/** The parts of the control panel that ordinary controls cannot be: its head, the layers, and the strip of costs. */

import './panel.css';
import { renderLayers } from './layer-view';
import { renderCost } from './panel-cost';
import { renderHeader } from './panel-header';
import type { IRenderContext, Render } from './panel-model';

const PARTS: Record<string, Render> = { layers: renderLayers, header: renderHeader, cost: renderCost };

export default {
  render(context: IRenderContext): () => void {
    return (PARTS[String(context.model.get('part'))] ?? renderLayers)(context);
  }
};
