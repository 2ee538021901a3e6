import { folderIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { bytes, count } from '../quantities';
import type { IModelChoice } from '../contract';
import { trans } from '../translation';
import { IControl, PlainControl } from './controls';

/** A line for a path or a name, with the file browser beside it. */
export function DataControl(props: IControl & { browse: () => Promise<void> }): JSX.Element {
  const { browse, ...rest } = props;
  return (
    <div className="jp-Tunebook-Picker">
      <PlainControl {...rest} kind="string" />
      <button
        type="button"
        className="jp-mod-styled jp-Tunebook-Picker-browse"
        aria-label={trans.__('Choose a file or folder')}
        title={trans.__('Choose a file or folder')}
        onClick={() => void browse()}
      >
        <folderIcon.react tag="span" width="16px" />
      </button>
    </div>
  );
}

/** A line for a model's name with what fits this machine first; any other name can be typed. */
export function ModelControl(props: IControl & { models: readonly IModelChoice[] }): JSX.Element {
  const { models, ...rest } = props;
  const chosen = models.find(model => model.name === props.value);
  return (
    <>
      <PlainControl {...rest} kind="string" list={`${props.id}-models`} />
      <datalist id={`${props.id}-models`}>
        {models.map(model => (
          <option key={model.name} value={model.name} label={describe(model)} />
        ))}
      </datalist>
      {chosen && (
        <div className={`jp-Tunebook-Fit${chosen.fits === false ? ' jp-Tunebook-mod-tight' : ''}`}>{describe(chosen)}</div>
      )}
    </>
  );
}

function describe(model: IModelChoice): string {
  const parts = model.title && model.title !== model.name ? [model.title] : [];
  if (model.parameters) {
    parts.push(trans.__('%1 parameters', count(model.parameters)));
  }
  if (model.memory) {
    parts.push(
      model.fits === false
        ? trans.__('about %1: more than this machine has', bytes(model.memory))
        : trans.__('about %1: fits this machine', bytes(model.memory))
    );
  }
  if (model.local) {
    parts.push(trans.__('weights are on this machine'));
  }
  return parts.join(' · ');
}
