/** The live curves under a cell. */

import 'uplot/dist/uPlot.min.css';
import '../chart/chart.css';

import { CurveStore, CurvesView, IPatch } from '../chart';
import type { IRenderContext } from './curves-model';

function render({ model, el }: IRenderContext): () => void {
  // What was known when the cell was shown is there at once; the kernel answers with the rest, and goes on.
  const store = CurveStore.fromJson(model.get('snapshot'));
  const canCommand = model.get('can_command') === true;
  const view = new CurvesView(el, store, {
    title: String(model.get('title') ?? 'Curves'),
    ask: {
      detail: (ranges, width) => model.send({ kind: 'detail', ranges, width }),
      tensors: (what, key) => model.send({ kind: what, key }),
      ...(canCommand ? { takeHistograms: (key: string) => model.send({ kind: 'take_histograms', key }) } : {})
    }
  });
  const take = (content: unknown, buffers: ArrayBufferView[]): void => {
    const patch = content as IPatch;
    if (patch?.kind === 'patch' || patch?.kind === 'detail') {
      store.apply(patch, buffers);
    }
  };
  model.on('msg:custom', take);
  model.send({ kind: 'hello' });
  return () => {
    model.off('msg:custom', take);
    view.destroy();
  };
}

export default { render };
