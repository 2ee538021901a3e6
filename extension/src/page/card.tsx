import { IRenderMimeRegistry, MimeModel, RenderMimeRegistry } from '@jupyterlab/rendermime';
import { Contents } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { Trouble, Waiting } from '../notices';
import { trans } from '../translation';

const MARKDOWN = 'text/markdown';
/** No model card is longer; anything else is no card. */
const LONGEST = 2_000_000;

/** Where a model card comes from, and what renders it. */
export interface ICardSource {
  readonly contents: Contents.IManager;
  readonly rendermime: IRenderMimeRegistry;
}

/** A run's model card, rendered and made harmless by JupyterLab's own renderer of Markdown. */
export function ModelCard(props: { path: string; source: ICardSource }): JSX.Element {
  const { path, source } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const [failure, setFailure] = React.useState<unknown>();
  const [isThere, setIsThere] = React.useState(false);
  // Before the host leaves the page: Lumino detaches only what is in it.
  React.useLayoutEffect(() => {
    let current = true;
    let shown: Widget | undefined;
    void (async () => {
      try {
        const text = await read(source.contents, path);
        // Pictures of the card lie beside it: the resolver finds them from there.
        const resolver = new RenderMimeRegistry.UrlResolver({ path, contents: source.contents });
        const rendermime = source.rendermime.clone({ resolver });
        const renderer = rendermime.createRenderer(MARKDOWN);
        await renderer.renderModel(new MimeModel({ data: { [MARKDOWN]: text }, trusted: false }));
        if (current && host.current) {
          Widget.attach(renderer, host.current);
          shown = renderer;
          setIsThere(true);
        } else {
          renderer.dispose();
        }
      } catch (error) {
        if (current) {
          setFailure(error);
        }
      }
    })();
    return () => {
      current = false;
      shown?.dispose();
    };
  }, [path]);
  return (
    <>
      {failure !== undefined ? <Trouble error={failure} /> : isThere ? null : <Waiting />}
      <div ref={host} className="jp-Tunebook-Card" />
    </>
  );
}

async function read(contents: Contents.IManager, path: string): Promise<string> {
  const { size } = await contents.get(path, { content: false });
  if ((size ?? 0) > LONGEST) {
    throw new Error(trans.__('The model card is too long to be shown (%1 bytes); open the file itself.', size ?? 0));
  }
  const model = await contents.get(path, { type: 'file', format: 'text', content: true });
  return String(model.content);
}
