import { FormComponent } from '@jupyterlab/ui-components';
import { ReadonlyJSONObject } from '@lumino/coreutils';
import { customizeValidator } from '@rjsf/validator-ajv8';
import type { RJSFSchema } from '@rjsf/utils';
import * as React from 'react';

import type { IData, IForm } from '../contract';
import { bytes } from '../quantities';
import { oneLine } from '../server';
import { language, trans } from '../translation';
import type { IOrigin } from './again';
import { Changes } from './changes';
import { formFields, formTemplates, IFormContext, uiSchemaOf } from './layout';
import { settled, unsettled, useLook } from './look';
import { changed, label, resolved, Values } from './schema';
import { ISearch, noSearch, SearchSection, sweepOf } from './search';

const validator = customizeValidator<ReadonlyJSONObject>();

/** A button of the form's footer. */
export interface IAction {
  readonly label: string;
  readonly accent: boolean;
  /** Whether it takes a search as well as one run. */
  readonly searches: boolean;
  readonly run: (values: Values, search: ISearch) => Promise<void>;
}

export interface IFormViewProps {
  readonly form: IForm;
  readonly start: Values;
  readonly actions: readonly IAction[];
  /** Heading; the template's title where it is missing. */
  readonly title?: string;
  readonly where: string;
  readonly browse: () => Promise<Values | undefined>;
  /** What the data is that the form names; undefined where that cannot be known from here. */
  readonly look: (data: string) => Promise<IData | undefined>;
  readonly check: (values: Values) => Promise<{ readonly [name: string]: string }>;
  readonly onChange: (values: Values) => void;
  /** The run with whose values the form began. */
  readonly origin?: IOrigin;
  /** The search with which the form began. */
  readonly startSearch?: ISearch;
}

/** Wait in ms after a key before the server is asked what it thinks of the values. */
const CHECK_AFTER = 350;

/** The form for a recipe: what is set, what is wrong with it, and what can be done with it. */
export function FormView(props: IFormViewProps): JSX.Element {
  const { form, actions } = props;
  const schema = React.useMemo(() => resolved(form.schema), [form]);
  const uiSchema = React.useMemo(() => uiSchemaOf(schema), [schema]);
  const [values, setValues] = React.useState<Values>({ ...form.defaults, ...form.values, ...props.start });
  const [problems, setProblems] = React.useState(form.problems);
  const [search, setSearch] = React.useState<ISearch>(props.startSearch ?? noSearch);
  const [failure, setFailure] = React.useState('');
  const [busy, setBusy] = React.useState('');
  const latest = React.useRef(values);
  latest.current = values;

  const put = (next: Values): void => {
    setValues(next);
    setFailure('');
    props.onChange(next);
  };
  const different = changed(values, form.defaults);
  const names = React.useMemo(() => new Set(Object.keys(schema.properties)), [schema]);
  const look = useLook(values.data, props.look);
  const open = unsettled(look, values, names);

  React.useEffect(() => {
    const found = settled(look, latest.current, names);
    if (Object.keys(found).length > 0) {
      put({ ...latest.current, ...found });
    }
  }, [look]);

  React.useEffect(() => {
    let current = true;
    const timer = window.setTimeout(() => {
      props.check(changed(values, form.defaults)).then(
        found => current && setProblems(found),
        () => undefined // what is wrong with the server shows when something is asked of it
      );
    }, CHECK_AFTER);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [values]);

  const context: IFormContext = {
    schema,
    models: form.models,
    problems,
    computed: new Set(form.computed),
    browse: async () => {
      const found = await props.browse();
      if (found) {
        put({ ...latest.current, ...found });
      }
    },
    look,
    unsettled: open,
    values,
    defaults: form.defaults
  };
  const act = async (action: IAction): Promise<void> => {
    const [asked] = Object.keys(open);
    if (asked !== undefined) {
      setFailure(`${label(asked)}: ${open[asked]}`);
      document.getElementById(`root_${asked}`)?.focus();
      return;
    }
    setBusy(action.label);
    setFailure('');
    try {
      await action.run(latest.current, search);
    } catch (error) {
      setFailure(oneLine(error));
    } finally {
      setBusy('');
    }
  };
  const wrong = new Set([...Object.keys(problems), ...Object.keys(open)].filter(name => name !== '')).size;
  const searching = sweepOf(search) !== undefined;
  return (
    <div className="jp-Tunebook-Form">
      <div className="jp-Tunebook-Form-header">
        <div>
          <h2>{props.title || form.title || form.name}</h2>
          {form.summary && <p>{form.summary}</p>}
        </div>
        <Cost form={form} model={values.model} />
      </div>
      <div className="jp-Tunebook-Form-body">
        <FormComponent
          schema={schema as RJSFSchema}
          uiSchema={uiSchema}
          fields={formFields}
          templates={formTemplates}
          formData={values as ReadonlyJSONObject}
          formContext={context}
          validator={validator}
          liveValidate
          showErrorList={false}
          noHtml5Validate
          translator={language()}
          onChange={event => put((event.formData ?? {}) as Values)}
        />
        {actions.some(action => action.searches) && (
          <SearchSection schema={schema} search={search} onChange={setSearch} />
        )}
      </div>
      <footer className="jp-Tunebook-Form-footer">
        <div className="jp-Tunebook-Form-said" role="status" aria-live="polite">
          {failure || problems[''] ? (
            <span className="jp-Tunebook-Failure" role="alert">
              {failure || problems['']}
            </span>
          ) : wrong > 0 ? (
            trans._n('One value is not allowed', '%1 values are not allowed', wrong, wrong)
          ) : props.origin ? (
            <Changes origin={props.origin} values={values} />
          ) : (
            <>
              {Object.keys(different).length === 0
                ? trans.__('All values are the defaults')
                : trans._n(
                    'One value differs from the defaults',
                    '%1 values differ from the defaults',
                    Object.keys(different).length,
                    Object.keys(different).length
                  )}
              {props.where && <span className="jp-Tunebook-Where">{props.where}</span>}
            </>
          )}
        </div>
        <div className="jp-Tunebook-Form-buttons">
          {actions.map(action => (
            <button
              key={action.label}
              type="button"
              className={`jp-mod-styled ${action.accent ? 'jp-mod-accept' : 'jp-Tunebook-mod-plain'}`}
              disabled={busy !== ''}
              onClick={() => void act(action)}
            >
              {searching && action.searches ? trans.__('Search in background') : action.label}
            </button>
          ))}
        </div>
      </footer>
    </div>
  );
}

function Cost(props: { form: IForm; model: unknown }): JSX.Element | null {
  const chosen = props.form.models.find(model => model.name === props.model);
  if (!chosen) {
    return null;
  }
  return (
    <div className={`jp-Tunebook-Cost${chosen.fits ? '' : ' jp-Tunebook-mod-tight'}`}>
      {chosen.fits
        ? trans.__('about %1', bytes(chosen.memory))
        : trans.__('about %1: more than this machine has', bytes(chosen.memory))}
    </div>
  );
}
