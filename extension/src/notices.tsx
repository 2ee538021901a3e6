import * as React from 'react';

import { oneLine } from './server';
import { trans } from './translation';

/** What stands where something could not be loaded. */
export function Trouble(props: { error: unknown; retry?: () => void }): JSX.Element {
  return (
    <div className="jp-Tunebook-Trouble" role="alert">
      <p>{oneLine(props.error)}</p>
      {props.retry && (
        <button type="button" className="jp-mod-styled" onClick={props.retry}>
          {trans.__('Try again')}
        </button>
      )}
    </div>
  );
}

/** What stands where something is still being loaded. */
export function Waiting(): JSX.Element {
  return (
    <div className="jp-Tunebook-Waiting" role="status">
      {trans.__('Loading…')}
    </div>
  );
}
