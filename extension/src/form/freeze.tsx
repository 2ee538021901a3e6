import { ReadonlyJSONValue } from '@lumino/coreutils';
import * as React from 'react';

import { trans } from '../translation';
import type { IControl } from './controls';
import { alternatives, INode } from './schema';

type Way = 'none' | 'backbone' | 'first' | 'last' | 'patterns';

/** Whether a value says what is frozen: words, a number of stages, or patterns. */
export function isFreeze(node: INode): boolean {
  const ways = alternatives(node);
  return ways.some(way => way.choices.includes('backbone')) && ways.some(way => way.kind === 'integer');
}

function wayOf(value: ReadonlyJSONValue): Way {
  if (typeof value === 'number') {
    return value < 0 ? 'last' : 'first';
  }
  return Array.isArray(value) ? 'patterns' : value === 'backbone' ? 'backbone' : 'none';
}

/** What is frozen, in words: a number below 0 is "all but the last ones". */
export function FreezeControl(props: IControl): JSX.Element {
  const { value } = props;
  const [way, setWay] = React.useState<Way>(wayOf(value));
  const [text, setText] = React.useState(written(value));
  React.useEffect(() => {
    // 0 stages may be the first or the last ones; anything else says which.
    if (value !== 0 || (way !== 'first' && way !== 'last')) {
      setWay(typeof value === 'string' && !['none', 'backbone'].includes(value) ? way : wayOf(value));
    }
    if (JSON.stringify(read(way, text)) !== JSON.stringify(value)) {
      setText(written(value));
    }
  }, [value]);
  const ways: [Way, string][] = [
    ['none', trans.__('nothing: every layer trains')],
    ['backbone', trans.__('the whole backbone: only the head trains')],
    ['first', trans.__('the first stages')],
    ['last', trans.__('all but the last stages')],
    ['patterns', trans.__('layers by patterns of their names')]
  ];
  const choose = (next: Way): void => {
    const start = next === 'patterns' ? '' : next === 'first' || next === 'last' ? '1' : '';
    setWay(next);
    setText(start);
    props.onChange(read(next, start));
  };
  const hasNumber = way === 'first' || way === 'last';
  return (
    <div className="jp-Tunebook-Union">
      <div className="jp-select-wrapper jp-Tunebook-Select">
        <select
          id={props.id}
          className="jp-mod-styled"
          value={way}
          aria-label={props.named}
          aria-describedby={props.describedBy}
          onChange={event => choose(event.target.value as Way)}
        >
          {ways.map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {(hasNumber || way === 'patterns') && (
        <input
          id={`${props.id}-value`}
          className={`jp-mod-styled jp-Tunebook-Input${hasNumber ? ' jp-Tunebook-mod-number' : ''}`}
          type="text"
          inputMode={hasNumber ? 'numeric' : undefined}
          spellCheck={false}
          autoComplete="off"
          value={text}
          placeholder={hasNumber ? undefined : 'blocks.0*, blocks.1*'}
          aria-label={hasNumber ? trans.__('%1: how many stages', props.named) : trans.__('%1: patterns', props.named)}
          aria-invalid={props.invalid}
          onChange={event => {
            setText(event.target.value);
            props.onChange(read(way, event.target.value));
          }}
        />
      )}
    </div>
  );
}

function written(value: ReadonlyJSONValue): string {
  return typeof value === 'number' ? String(Math.abs(value)) : Array.isArray(value) ? value.join(', ') : '';
}

/** Read what is typed; what is no number is handed on as it is, and the schema refuses it. */
function read(way: Way, text: string): ReadonlyJSONValue {
  if (way === 'none' || way === 'backbone') {
    return way;
  }
  if (way === 'patterns') {
    return text
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== '');
  }
  const number = Number(text.replace('−', '-'));
  if (text.trim() === '' || !Number.isInteger(number)) {
    return text;
  }
  return way === 'last' && number > 0 ? -number : number;
}
