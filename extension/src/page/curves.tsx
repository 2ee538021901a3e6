import * as React from 'react';

import { CurvesView } from '../chart';
import type { CurveFeed } from './feed';

/** The curves of a feed; the view is the one that notebooks show under a cell. */
export function CurvesHost(props: { feed: CurveFeed; title: string; canCommand: boolean }): JSX.Element {
  const host = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (!host.current) {
      return undefined;
    }
    const { takeHistograms, ...asks } = props.feed.asks;
    const ask = props.canCommand ? { ...asks, takeHistograms } : asks;
    const view = new CurvesView(host.current, props.feed.store, { title: props.title, ask });
    return () => view.destroy();
  }, [props.feed, props.canCommand]);
  return <div ref={host} className="jp-Tunebook-Curves" />;
}
