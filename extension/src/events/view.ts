import { Widget } from '@lumino/widgets';

import { CurvesView } from '../chart';
import { CurveFeed } from '../page/feed';
import type { Server } from '../server';
import { trans } from '../translation';

/** The curves of one events file; it grows while the file does. */
export class EventsView extends Widget {
  constructor(server: Server, path: string, name: string) {
    super();
    this.addClass('jp-Tunebook-Page');
    this.addClass('jp-Tunebook-Events');
    this.feed = new CurveFeed(server, [{ path, name }], () => this.isVisible);
    const { takeHistograms, ...ask } = this.feed.asks;
    const host = document.createElement('div');
    host.className = 'jp-Tunebook-Page-body';
    this.node.append(host);
    this.view = new CurvesView(host, this.feed.store, { title: trans.__('Curves'), ask });
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.view.destroy();
      this.feed.dispose();
      super.dispose();
    }
  }

  private readonly feed: CurveFeed;
  private readonly view: CurvesView;
}
