import type { FieldProps, FieldTemplateProps, ObjectFieldTemplateProps, UiSchema } from '@rjsf/utils';
import { ReadonlyJSONObject, ReadonlyJSONValue } from '@lumino/coreutils';
import * as React from 'react';

import { trans } from '../translation';
import { AnyControl } from './controls';
import { DataControl, ModelControl } from './pickers';
import { allowed, groups, INode, IRecipeSchema, label, span } from './schema';
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
    onChange: (value: ReadonlyJSONValue) => props.onChange(value as ReadonlyJSONObject)
  };
  if (context.computed.has(props.name)) {
    return <span className="jp-Tunebook-Computed">{trans.__('computed in the notebook')}</span>;
  }
  if (pathNames.has(props.name)) {
    return <DataControl {...shared} browse={context.browse} />;
  }
  if (props.name === 'model' && context.models.length > 0) {
    return <ModelControl {...shared} models={context.models} />;
  }
  return <AnyControl {...shared} />;
}

/** A parameter's row: label, control, and help or what is allowed under it. */
function RowTemplate(props: FieldTemplateProps<ReadonlyJSONObject>): JSX.Element {
  if (props.id === 'root') {
    return <>{props.children}</>;
  }
  const context = props.formContext as IFormContext;
  const name = props.id.replace(/^root_/, '');
  const node = context.schema.properties[name] ?? (props.schema as INode);
  const problem = context.problems[name];
  const refused = (props.rawErrors?.length ?? 0) > 0;
  const invalid = refused || problem !== undefined;
  const limits = node.anyOf ? '' : span(node);
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
            [node.description, limits].filter(part => part).join(' · ')
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
      return node !== undefined && (node.group ?? 'Run') === group && (node.advanced ?? false) === advanced;
    });
  return (
    <>
      {groups(context.schema).map(group => {
        const plain = of(group, false);
        const advanced = of(group, true);
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
