import { IRenderMime, IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';

import { CurveStore, CurvesView } from '../chart';
import { trans } from '../translation';

const MIME_TYPE = 'application/vnd.tunebook.curves+json';
/** Before image/png (90), which every such output holds as well. */
const RANK = 40;

/** Curves that were kept in a notebook's output, drawn so that they can be looked at closely. */
class SavedCurves extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly mimeType: string) {
    super();
    this.addClass('jp-Tunebook-SavedCurves');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.view?.destroy();
    const store = CurveStore.fromJson(model.data[this.mimeType]);
    this.view = new CurvesView(this.node, store, { title: trans.__('Curves') });
  }

  dispose(): void {
    this.view?.destroy();
    this.view = undefined;
    super.dispose();
  }

  private view: CurvesView | undefined;
}

/** Draw kept curves in every notebook; they are data, and nothing in them can run. */
export function addCurvesOutput(rendermime: IRenderMimeRegistry): void {
  rendermime.addFactory(
    { safe: true, mimeTypes: [MIME_TYPE], createRenderer: options => new SavedCurves(options.mimeType) },
    RANK
  );
}
