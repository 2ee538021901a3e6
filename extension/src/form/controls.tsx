import { JSONExt, ReadonlyJSONValue } from '@lumino/coreutils';
import * as React from 'react';

import { trans } from '../translation';
import { FreezeControl, isFreeze } from './freeze';
import { alternativeOf, alternatives, IAlternative, INode, Kind } from './schema';

/** What every control of the form is given. */
export interface IControl {
  readonly id: string;
  readonly node: INode;
  readonly value: ReadonlyJSONValue;
  readonly invalid: boolean;
  readonly describedBy: string;
  /** What an empty value means. */
  readonly empty: string;
  /** The parameter in words, for controls that no label of the page is tied to. */
  readonly named: string;
  readonly onChange: (value: ReadonlyJSONValue) => void;
}

interface IText extends Omit<IControl, 'node'> {
  readonly write: (value: ReadonlyJSONValue) => string;
  /** Read a text; a text that has no reading is handed on as it is, and the schema refuses it. */
  readonly read: (text: string) => ReadonlyJSONValue;
  readonly placeholder?: string;
  readonly numeric?: boolean;
  readonly list?: string;
  /** Whether it stands beside the control that the label names. */
  readonly beside?: boolean;
}

/** A line of text that stays as typed while it is being typed. */
function TextControl(props: IText): JSX.Element {
  const [text, setText] = React.useState(props.write(props.value));
  React.useEffect(() => {
    // A value that came from elsewhere (a reset, the file browser) replaces the text; "1e-" on its way to 1e-3 does not.
    if (!JSONExt.deepEqual(props.read(text), props.value)) {
      setText(props.write(props.value));
    }
  }, [props.value]);
  return (
    <input
      id={props.id}
      className={`jp-mod-styled jp-Tunebook-Input${props.numeric ? ' jp-Tunebook-mod-number' : ''}`}
      type="text"
      inputMode={props.numeric ? 'decimal' : undefined}
      spellCheck={false}
      autoComplete="off"
      list={props.list}
      value={text}
      placeholder={props.placeholder}
      aria-label={props.beside ? props.named : undefined}
      aria-invalid={props.invalid}
      aria-describedby={props.describedBy}
      onChange={event => {
        setText(event.target.value);
        props.onChange(props.read(event.target.value));
      }}
    />
  );
}

function readNumber(text: string): ReadonlyJSONValue {
  const number = Number(text.replace('−', '-'));
  return text.trim() === '' || !Number.isFinite(number) ? text : number;
}

function readList(text: string): ReadonlyJSONValue {
  if (text.trim().startsWith('[')) {
    return readJson(text);
  }
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
}

function readJson(text: string): ReadonlyJSONValue {
  try {
    return JSON.parse(text) as ReadonlyJSONValue;
  } catch {
    return text;
  }
}

function writeList(value: ReadonlyJSONValue): string {
  if (!Array.isArray(value)) {
    return typeof value === 'string' ? value : '';
  }
  const plain = value.every(item => typeof item === 'string' && !item.includes(',') && item.trim() === item);
  return plain ? value.join(', ') : JSON.stringify(value);
}

function writeJson(value: ReadonlyJSONValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function writePlain(value: ReadonlyJSONValue): string {
  return value === null || value === undefined ? '' : String(value);
}

/** A control for one way of writing a value. */
export function PlainControl(props: IControl & { kind: Kind; placeholder?: string; list?: string; beside?: boolean }): JSX.Element {
  const { kind, node, ...rest } = props;
  switch (kind) {
    case 'boolean':
      return (
        <input
          id={props.id}
          className="jp-Tunebook-Check"
          type="checkbox"
          checked={props.value === true}
          aria-describedby={props.describedBy}
          onChange={event => props.onChange(event.target.checked)}
        />
      );
    case 'choice':
      return <SelectControl {...rest} node={node} />;
    case 'integer':
    case 'number':
      return <TextControl {...rest} numeric write={writePlain} read={readNumber} />;
    case 'array':
      return node.items?.prefixItems ? (
        <PairsControl {...rest} node={node} />
      ) : (
        <TextControl {...rest} write={writeList} read={readList} />
      );
    case 'object':
      return (
        <TextControl {...rest} placeholder='{"class": 1.5}' write={writeJson} read={readJson} />
      );
    default:
      return <TextControl {...rest} write={writePlain} read={text => text} />;
  }
}

function SelectControl(props: IControl): JSX.Element {
  const choices = props.node.enum ?? [];
  const index = choices.findIndex(choice => JSONExt.deepEqual(choice, props.value));
  return (
    <div className="jp-select-wrapper jp-Tunebook-Select">
      <select
        id={props.id}
        className="jp-mod-styled"
        value={index}
        aria-invalid={props.invalid}
        aria-describedby={props.describedBy}
        onChange={event => props.onChange(choices[Number(event.target.value)])}
      >
        {index < 0 && <option value={-1}>{writePlain(props.value)}</option>}
        {choices.map((choice, place) => (
          <option key={place} value={place}>
            {String(choice)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Name a way of writing a value, beside the choices. */
function nameOf(kind: Kind): string {
  const names: Record<Kind, string> = {
    choice: '',
    integer: trans.__('a number'),
    number: trans.__('a number'),
    string: trans.__('text'),
    boolean: trans.__('yes or no'),
    array: trans.__('a list'),
    object: trans.__('by hand'),
    null: trans.__('default')
  };
  return names[kind];
}

const first: Record<Kind, ReadonlyJSONValue> = {
  choice: '',
  integer: 1,
  number: 0,
  string: '',
  boolean: false,
  array: [],
  object: {},
  null: null
};

/** A control for a value that can be written in several ways: a choice, or a value of another kind beside it. */
function UnionControl(props: IControl): JSX.Element {
  const ways = alternatives(props.node);
  const nullable = ways.find(way => way.kind === 'null');
  const others = ways.filter(way => way.kind !== 'null');
  if (nullable && others.length === 1 && others[0].kind !== 'choice') {
    return <NullableControl {...props} way={others[0]} />;
  }
  return <ChoiceOrValueControl {...props} ways={ways} />;
}

function NullableControl(props: IControl & { way: IAlternative }): JSX.Element {
  const { way, ...rest } = props;
  const numeric = way.kind === 'number' || way.kind === 'integer';
  const read = numeric ? readNumber : way.kind === 'array' ? readList : (text: string) => text;
  return (
    <TextControl
      {...rest}
      numeric={numeric}
      placeholder={props.empty}
      write={way.kind === 'array' ? value => (value === null ? '' : writeList(value)) : writePlain}
      read={text => (text.trim() === '' ? null : read(text))}
    />
  );
}

function ChoiceOrValueControl(props: IControl & { ways: IAlternative[] }): JSX.Element {
  const options = props.ways.flatMap(way =>
    way.kind === 'choice'
      ? way.choices.map(choice => ({ way, text: String(choice), value: choice }))
      : [{ way, text: nameOf(way.kind), value: first[way.kind] }]
  );
  const way = alternativeOf(props.node, props.value);
  const [kind, setKind] = React.useState<Kind>(way?.kind ?? 'choice');
  React.useEffect(() => {
    if (way && way.kind !== kind) {
      setKind(way.kind);
    }
  }, [way?.kind]);
  const current = options.findIndex(option =>
    option.way.kind === 'choice' ? JSONExt.deepEqual(option.value, props.value) : option.way.kind === kind
  );
  const beside = current >= 0 ? options[current].way : undefined;
  return (
    <div className="jp-Tunebook-Union">
      <div className="jp-select-wrapper jp-Tunebook-Select">
        <select
          id={props.id}
          className="jp-mod-styled"
          value={current}
          aria-describedby={props.describedBy}
          onChange={event => {
            const option = options[Number(event.target.value)];
            setKind(option.way.kind);
            props.onChange(option.value);
          }}
        >
          {options.map((option, place) => (
            <option key={place} value={place}>
              {option.text}
            </option>
          ))}
        </select>
      </div>
      {beside && beside.kind !== 'choice' && beside.kind !== 'null' && (
        <PlainControl {...props} id={`${props.id}-value`} kind={beside.kind} node={beside.node} beside />
      )}
    </div>
  );
}

/** Rows of an epoch and what is frozen from then on. */
function PairsControl(props: IControl): JSX.Element {
  const parts = props.node.items?.prefixItems ?? [];
  const rows = Array.isArray(props.value) ? (props.value as ReadonlyJSONValue[][]) : [];
  const put = (row: number, column: number, value: ReadonlyJSONValue): void =>
    props.onChange(rows.map((pair, i) => (i === row ? pair.map((old, j) => (j === column ? value : old)) : pair)));
  const next = rows.length ? Number(rows[rows.length - 1][0]) + 1 : 1;
  return (
    <div className="jp-Tunebook-Pairs" role="group" aria-label={props.named} aria-describedby={props.describedBy}>
      {rows.map((pair, row) => (
        <div className="jp-Tunebook-Pair" key={row}>
          {parts.map((part, column) => (
            <React.Fragment key={column}>
              <span className="jp-Tunebook-Pair-word">{column === 0 ? trans.__('from epoch') : trans.__('freeze')}</span>
              <AnyControl
                {...props}
                id={`${props.id}-${row}-${column}`}
                named={
                  column === 0
                    ? trans.__('%1, step %2: from epoch', props.named, row + 1)
                    : trans.__('%1, step %2: what is frozen', props.named, row + 1)
                }
                beside
                node={part}
                value={pair[column] ?? null}
                onChange={value => put(row, column, value)}
              />
            </React.Fragment>
          ))}
          <button
            type="button"
            className="jp-Tunebook-Pair-remove jp-mod-styled jp-mod-minimal"
            aria-label={trans.__('Remove the step at epoch %1', String(pair[0]))}
            onClick={() => props.onChange(rows.filter((_, i) => i !== row))}
          >
            ×
          </button>
        </div>
      ))}
      <button
        id={props.id}
        type="button"
        className="jp-Tunebook-Pair-add jp-mod-styled"
        aria-label={trans.__('%1: add a step', props.named)}
        onClick={() => props.onChange([...rows, [next, rows.length ? (rows[rows.length - 1][1] ?? 'none') : 'none']])}
      >
        {trans.__('+ step')}
      </button>
    </div>
  );
}

/** The control that suits a schema node. */
export function AnyControl(props: IControl & { beside?: boolean }): JSX.Element {
  const ways = alternatives(props.node);
  if (isFreeze(props.node)) {
    return <FreezeControl {...props} />;
  }
  if (ways.length === 1) {
    return <PlainControl {...props} kind={ways[0].kind} node={ways[0].node} />;
  }
  return <UnionControl {...props} />;
}
