import type { FieldProps, FieldTemplateProps, ObjectFieldTemplateProps, UiSchema } from '@rjsf/utils';
import { ReadonlyJSONObject, ReadonlyJSONValue } from '@lumino/coreutils';
import * as React from 'react';

import { trans } from '../translation';
import { applies, COLUMN_NAMES, COLUMNS_NAME } from './applies';
import { ColumnControl, ColumnsControl, Preview } from './columns';
import { AnyControl } from './controls';
import type { ILook } from './look';
import { DataControl, ModelControl } from './pickers';
import { allowed, groups, INode, IRecipeSchema, label, span, Values } from './schema';
import { emptyWord, helpWords } from './words';
import type { IModelChoice } from '../contract';

/** What the form's parts know besides their own value. */
export interface IFormContext {
  readonly schema: IRecipeSchema;
  readonly models: readonly IModelChoice[];
  /** What the server says is wrong, by parameter. */
  readonly problems: { readonly [name: string]: string };
  /** Parameters that the notebook computes: a form leaves them alone. */
  readonly computed: ReadonlySet<string>;
  /** Lets the user choose a file or folder, and takes what follows from it. */
  readonly browse: () => Promise<void>;
  /** What the data is, and what is still to be said of it, by parameter. */
  readonly look: ILook;
  readonly unsettled: { readonly [name: string]: string };
  readonly values: Values;
  readonly defaults: Values;
}

const pathNames = new Set(['data']);

/** One control for every parameter, whatever its schema. */
function ValueField(props: FieldProps<ReadonlyJSONObject>): JSX.Element {
  const context = props.formContext as IFormContext;
  const node = context.schema.properties[props.name] ?? (props.schema as INode);
  const shared = {
    id: props.idSchema.$id,
    node,
    value: (props.formData ?? null) as ReadonlyJSONValue,
    invalid: (props.rawErrors?.length ?? 0) > 0,
    describedBy: `${props.idSchema.$id}__help`,
    named: label(props.name),
    empty: emptyWord(props.name),
    onChange: (value: ReadonlyJSONValue) => props.onChange(value as ReadonlyJSONObject)
  };
  if (context.computed.has(props.name)) {
    return <span className="jp-Tunebook-Computed">{trans.__('computed in the notebook')}</span>;
  }
  const { table } = context.look;
  if (pathNames.has(props.name)) {
    return (
      <>
        <DataControl {...shared} browse={context.browse} />
        {table && <Preview table={table} roles={roles(context)} />}
      </>
    );
  }
  if (table && COLUMN_NAMES.includes(props.name) && table.columns.length === table.preview.length) {
    return <ColumnControl {...shared} table={table} invalid={props.name in context.unsettled} />;
  }
  if (table && props.name === COLUMNS_NAME) {
    return <ColumnsControl {...shared} table={table} taken={new Set(roles(context, false).keys())} />;
  }
  if (props.name === 'model' && context.models.length > 0) {
    return <ModelControl {...shared} models={context.models} />;
  }
  return <AnyControl {...shared} />;
}

/** What columns are taken as, by their names. */
function roles(context: IFormContext, withGroups = true): Map<string, string> {
  const { values, schema } = context;
  const found = COLUMN_NAMES.filter(name => name in schema.properties).map((name): [string, string] => [
    String(values[name]),
    label(name).toLowerCase()
  ]);
  const sensitive = withGroups ? values[COLUMNS_NAME] : null;
  const groups = Array.isArray(sensitive) ? sensitive.map((name): [string, string] => [String(name), trans.__('sensitive')]) : [];
  return new Map([...groups, ...found]);
}

/** What stands under a parameter that is as it may be: its help, its bounds, and where its value came from. */
function helpOf(name: string, node: INode, context: IFormContext): string {
  const { look, values } = context;
  const help = helpWords(name, node.description ?? '');
  if (pathNames.has(name)) {
    return [help, look.table ? '' : look.said].filter(part => part).join(' · ');
  }
  const choice = look.table?.choices[name];
  if (choice?.column && choice.column === values[name]) {
    return [help, trans.__('taken: %1', choice.why)].join(' · ');
  }
  if (look.table && name === COLUMNS_NAME) {
    return values[name] === null
      ? trans.__("columns to compare the model's quality by; nothing is ticked, so it is not compared")
      : trans.__("columns to compare the model's quality by");
  }
  return [help, node.anyOf ? '' : span(node)].filter(part => part).join(' · ');
}

/** A parameter's row: label, control, and help or what is allowed under it. */
function RowTemplate(props: FieldTemplateProps<ReadonlyJSONObject>): JSX.Element {
  if (props.id === 'root') {
    return <>{props.children}</>;
  }
  const context = props.formContext as IFormContext;
  const name = props.id.replace(/^root_/, '');
  const node = context.schema.properties[name] ?? (props.schema as INode);
  const problem = [context.unsettled, context.problems].find(one => Object.prototype.hasOwnProperty.call(one, name))?.[name];
  const refused = (props.rawErrors?.length ?? 0) > 0;
  const invalid = refused || problem !== undefined;
  return (
    <div className={`jp-Tunebook-Row${invalid ? ' jp-Tunebook-mod-invalid' : ''}`} data-name={name}>
      <label className="jp-Tunebook-Row-label" htmlFor={props.id} title={name}>
        {label(name)}
      </label>
      <div className="jp-Tunebook-Row-control">
        {props.children}
        <div className="jp-Tunebook-Row-help" id={`${props.id}__help`}>
          {invalid ? (
            <span role="alert">{refused ? trans.__('allowed: %1', allowed(node)) : problem}</span>
          ) : (
            helpOf(name, node, context)
          )}
        </div>
      </div>
    </div>
  );
}

/** The parameters by group; those for experts folded away. */
function GroupsTemplate(props: ObjectFieldTemplateProps<ReadonlyJSONObject>): JSX.Element {
  const context = props.formContext as IFormContext;
  const of = (group: string, advanced: boolean): typeof props.properties =>
    props.properties.filter(({ name }) => {
      const node = context.schema.properties[name];
      return (
        node !== undefined &&
        (node.group ?? 'Run') === group &&
        (node.advanced ?? false) === advanced &&
        applies(name, context.look.kind, context.values, context.defaults)
      );
    });
  return (
    <>
      {groups(context.schema).map(group => {
        const plain = of(group, false);
        const advanced = of(group, true);
        if (plain.length + advanced.length === 0) {
          return null;
        }
        return (
          <fieldset className="jp-Tunebook-Group" key={group} data-group={group}>
            <legend>{group}</legend>
            {plain.map(property => (
              <React.Fragment key={property.name}>{property.content}</React.Fragment>
            ))}
            {advanced.length > 0 && (
              <details className="jp-Tunebook-Advanced">
                <summary>{trans.__('Advanced')}</summary>
                {advanced.map(property => (
                  <React.Fragment key={property.name}>{property.content}</React.Fragment>
                ))}
              </details>
            )}
          </fieldset>
        );
      })}
    </>
  );
}

/** Templates and fields for JupyterLab's FormComponent. */
export const formTemplates = { FieldTemplate: RowTemplate, ObjectFieldTemplate: GroupsTemplate };
export const formFields = { tunebookValue: ValueField };

/** Give every parameter the control above. */
export function uiSchemaOf(schema: IRecipeSchema): UiSchema<ReadonlyJSONObject> {
  return Object.fromEntries(
    Object.keys(schema.properties).map(name => [
      name,
      { 'ui:field': 'tunebookValue', 'ui:fieldReplacesAnyOrOneOf': true }
    ])
  );
}
