import * as React from 'react';

import { trans } from '../translation';
import { changesSince, IOrigin } from './again';
import { label, Values } from './schema';

/** Says from which run a form was filled, and what was changed since. */
export function Changes(props: { origin: IOrigin; values: Values }): JSX.Element {
  const { origin, values } = props;
  const lines = changesSince(origin, values);
  return (
    <div className="jp-Tunebook-Changes">
      {lines.length === 0 ? (
        <span>{trans.__('As %1 was run; nothing is changed yet', origin.name)}</span>
      ) : (
        <>
          <span>{trans.__('Changed from %1', origin.name)}</span>
          <ul>
            {lines.map(line => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </>
      )}
      {origin.leftOut.length > 0 && (
        <span className="jp-Tunebook-Failure">
          {trans.__('Left out, since there is no such parameter now: %1', origin.leftOut.map(label).join(', '))}
        </span>
      )}
    </div>
  );
}
