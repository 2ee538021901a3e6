/** The table of classes of the control panel. */

import './panel.css';
import { ClassView } from './class-view';
import type { IRenderContext } from './panel-model';

export default {
  render({ model, el }: IRenderContext): () => void {
    const view = new ClassView(model, el);
    return () => view.destroy();
  }
};
