import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import { ABCWidgetFactory, DocumentRegistry, DocumentWidget, IDocumentWidget } from '@jupyterlab/docregistry';
import { Contents, RestContentProvider } from '@jupyterlab/services';

import { curvesIcon } from '../icons';
import { nameOf } from '../page/page';
import type { Server } from '../server';
import { trans } from '../translation';
import { EventsView } from './view';

const FILE_TYPE = 'tfevents';
const FACTORY = 'Tunebook curves';
const PROVIDER = 'tunebook-metadata-only';

/** Gives an events file without its bytes, or a hash of them: the server reads what is shown, not the browser. */
class MetadataOnly extends RestContentProvider {
  async get(path: string, options?: Contents.IFetchOptions): Promise<Contents.IModel> {
    const model = await super.get(path, { ...options, content: false, hash: false });
    // A file that can be written gets a checkpoint, which is a copy, as soon as it is opened.
    return { ...model, content: '', format: 'text', type: 'file', writable: false };
  }
}

class EventsFactory extends ABCWidgetFactory<IDocumentWidget<EventsView>> {
  constructor(
    options: DocumentRegistry.IWidgetFactoryOptions<IDocumentWidget<EventsView>>,
    private readonly server: Server
  ) {
    super(options);
  }

  protected createNewWidget(context: DocumentRegistry.Context): IDocumentWidget<EventsView> {
    const content = new EventsView(this.server, context.localPath, nameOf(context.localPath));
    return new DocumentWidget({ content, context });
  }
}

/** Open training logs, whoever wrote them, as curves. */
export function addEventFiles(
  app: JupyterFrontEnd,
  server: Server,
  drive: Contents.IDrive | null,
  restorer: ILayoutRestorer | null
): void {
  const { docRegistry } = app;
  drive?.contentProviderRegistry?.register(
    PROVIDER,
    new MetadataOnly({ apiEndpoint: 'api/contents', serverSettings: server.settings })
  );
  docRegistry.addFileType({
    name: FILE_TYPE,
    displayName: trans.__('Training log'),
    mimeTypes: ['application/x-tfevents'],
    extensions: [],
    pattern: '^events\\.out\\.tfevents\\..*$',
    fileFormat: 'base64',
    icon: curvesIcon
  });
  // Known here so that the file browser can offer fine-tuning on one.
  docRegistry.addFileType({
    name: 'parquet',
    displayName: trans.__('Parquet table'),
    mimeTypes: ['application/vnd.apache.parquet'],
    extensions: ['.parquet'],
    fileFormat: 'base64'
  });
  const factory = new EventsFactory(
    {
      name: FACTORY,
      label: trans.__('Curves'),
      modelName: 'base64',
      fileTypes: [FILE_TYPE],
      defaultFor: [FILE_TYPE],
      readOnly: true,
      contentProviderId: drive?.contentProviderRegistry ? PROVIDER : undefined
    },
    server
  );
  const tracker = new WidgetTracker<IDocumentWidget<EventsView>>({ namespace: 'tunebook-events' });
  factory.widgetCreated.connect((_, widget) => {
    widget.title.icon = curvesIcon;
    void tracker.add(widget);
  });
  docRegistry.addWidgetFactory(factory);
  void restorer?.restore(tracker, {
    command: 'docmanager:open',
    args: widget => ({ path: widget.context.path, factory: FACTORY }),
    name: widget => widget.context.path
  });
}
