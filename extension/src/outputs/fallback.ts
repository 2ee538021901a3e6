import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { IRenderMime, IRenderMimeRegistry, MimeModel } from '@jupyterlab/rendermime';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Panel, Widget } from '@lumino/widgets';

const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';
/** Wait in ms for a widget's view before the picture beside it is shown in its place. */
const PATIENCE = 800;

/**
 * Show the picture of an output whose widget is gone.
 *
 * A saved notebook holds a widget's picture and text beside the widget itself. Where the kernel has ended, the widgets'
 * own renderer says "model not found", or waits for ever, and hides them.
 */
export function addWidgetFallback(notebooks: INotebookTracker): void {
  notebooks.widgetAdded.connect((_, panel) => watch(panel));
  notebooks.forEach(watch);
}

function watch(panel: NotebookPanel): void {
  const { rendermime } = panel.content;
  const addFactory = rendermime.addFactory.bind(rendermime);
  // The widgets' extension puts its renderer in once the kernel is known, and again for another kernel.
  rendermime.addFactory = (factory, rank) => {
    const isWidgets = factory.mimeTypes.includes(WIDGET_VIEW);
    addFactory(isWidgets ? wrapped(factory, rendermime) : factory, rank);
  };
  const factory = rendermime.getFactory(WIDGET_VIEW);
  if (factory) {
    addFactory(wrapped(factory, rendermime), rendermime.getRank(WIDGET_VIEW));
  }
}

function wrapped(factory: IRenderMime.IRendererFactory, rendermime: IRenderMimeRegistry): IRenderMime.IRendererFactory {
  return {
    safe: factory.safe,
    mimeTypes: factory.mimeTypes,
    defaultRank: factory.defaultRank,
    createRenderer: options => withPicture(factory.createRenderer(options), rendermime)
  };
}

/** Let a renderer show the rest of its bundle while it has no view; it stays the renderer that others look for. */
function withPicture(renderer: IRenderMime.IRenderer, rendermime: IRenderMimeRegistry): IRenderMime.IRenderer {
  if (!(renderer instanceof Panel)) {
    return renderer;
  }
  const render = renderer.renderModel.bind(renderer);
  const picture = new Picture(renderer, rendermime);
  renderer.renderModel = async model => {
    picture.hide();
    const timer = window.setTimeout(() => picture.show(model), PATIENCE);
    try {
      await render(model);
    } finally {
      window.clearTimeout(timer);
      // A view came, though late, or the widget was closed and shows nothing on purpose.
      if (picture.hasView || renderer.isHidden) {
        picture.hide();
      } else {
        picture.show(model);
      }
    }
  };
  return renderer;
}

class Picture {
  constructor(
    private readonly renderer: Panel,
    private readonly rendermime: IRenderMimeRegistry
  ) {}

  get hasView(): boolean {
    return this.renderer.widgets.some(widget => widget !== this.shown);
  }

  show(model: IRenderMime.IMimeModel): void {
    if (this.renderer.isDisposed || this.hasView) {
      return;
    }
    if (this.shown) {
      // The renderer has written its words over it.
      this.renderer.node.replaceChildren(this.shown.node);
      return;
    }
    const { [WIDGET_VIEW]: view, ...rest } = model.data;
    const data = rest as ReadonlyPartialJSONObject;
    const mimeType = this.rendermime.preferredMimeType(data, model.trusted ? 'any' : 'ensure');
    if (!mimeType || view === undefined) {
      return;
    }
    const shown = this.rendermime.createRenderer(mimeType);
    const metadata = model.metadata;
    void shown.renderModel(new MimeModel({ data, metadata, trusted: model.trusted }));
    this.renderer.node.textContent = '';
    this.shown = shown;
    this.renderer.addWidget(shown);
  }

  hide(): void {
    const { shown } = this;
    this.shown = undefined;
    if (shown && !shown.isDisposed) {
      // The renderer may have put its own words in the place of the picture's node, which Lumino looks for.
      this.renderer.node.append(shown.node);
      shown.dispose();
    }
  }

  private shown: Widget | undefined;
}
