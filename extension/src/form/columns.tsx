import * as React from 'react';

import type { IColumn, IData } from '../contract';
import { trans } from '../translation';
import type { IControl } from './controls';

/** Columns of a table, as a line of a list names them. */
function described(column: IColumn): string {
  return trans._n('%2 (%3, one value)', '%2 (%3, %1 values)', column.distinct, column.name, column.type);
}

/** A column to choose from a list. */
export function ColumnControl(props: IControl & { table: IData }): JSX.Element {
  const { table } = props;
  const value = String(props.value ?? '');
  const isKnown = table.columns.includes(value);
  return (
    <div className="jp-select-wrapper jp-Tunebook-Select">
      <select
        id={props.id}
        className="jp-mod-styled"
        value={isKnown ? value : ''}
        aria-invalid={props.invalid}
        aria-describedby={props.describedBy}
        onChange={event => props.onChange(event.target.value)}
      >
        {!isKnown && <option value="">{trans.__('choose a column…')}</option>}
        {table.preview.map(column => (
          <option key={column.name} value={column.name}>
            {described(column)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Columns to tick; none of them is the value `null`. */
export function ColumnsControl(props: IControl & { table: IData; taken: ReadonlySet<string> }): JSX.Element {
  const { table, taken } = props;
  const chosen = Array.isArray(props.value) ? props.value.map(String) : [];
  const offered = table.preview.filter(column => !taken.has(column.name) || chosen.includes(column.name));
  const gone = chosen.filter(name => !table.columns.includes(name));
  const put = (name: string, on: boolean): void => {
    const next = on ? [...chosen, name] : chosen.filter(other => other !== name);
    props.onChange(next.length > 0 ? next : null);
  };
  return (
    <div id={props.id} className="jp-Tunebook-Columns" role="group" aria-label={props.named} aria-describedby={props.describedBy}>
      {[...gone, ...offered.map(column => column.name)].map(name => {
        const column = offered.find(one => one.name === name);
        return (
          <label key={name}>
            <input
              className="jp-Tunebook-Check"
              type="checkbox"
              checked={chosen.includes(name)}
              onChange={event => put(name, event.target.checked)}
            />
            {column ? described(column) : trans.__('%1 (not in the table)', name)}
          </label>
        );
      })}
    </div>
  );
}

/** What a table holds: a line a column, with the first rows, and what each is taken as. */
export function Preview(props: { table: IData; roles: ReadonlyMap<string, string> }): JSX.Element {
  const { table, roles } = props;
  const shown = Math.max(0, ...table.preview.map(column => column.examples.length));
  return (
    <details className="jp-Tunebook-Preview" open>
      <summary>
        {trans._n('One column; type and counts are of the first %2 rows', '%1 columns; types and counts are of the first %2 rows', table.preview.length, table.rows)}
      </summary>
      <div className="jp-Tunebook-TableHost" tabIndex={0} role="region" aria-label={trans.__('Columns of the table')}>
        <table className="jp-Tunebook-Table">
          <thead>
            <tr>
              <th scope="col">{trans.__('column')}</th>
              <th scope="col">{trans.__('taken as')}</th>
              <th scope="col">{trans.__('type')}</th>
              <th scope="col" className="jp-Tunebook-mod-number">
                {trans.__('distinct')}
              </th>
              {Array.from({ length: shown }, (_, row) => (
                <th key={row} scope="col">
                  {trans.__('row %1', row + 1)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.preview.map((column, place) => (
              <tr key={place} data-column={column.name}>
                <th scope="row">{column.name}</th>
                <td>{roles.get(column.name) ?? ''}</td>
                <td>{column.missing ? trans.__('%1, %2 missing', column.type, column.missing) : column.type}</td>
                <td className="jp-Tunebook-mod-number">{column.distinct}</td>
                {column.examples.map((example, row) => (
                  <td key={row} title={example}>
                    <span className="jp-Tunebook-Example">{example}</span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
