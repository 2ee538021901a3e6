import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { IForm } from '../contract';
import { Trouble, Waiting } from '../notices';
import type { Values } from './schema';
import { FormView, IFormViewProps } from './view';

/** Where a form comes from, and what can be done with it. */
export interface IFormSource extends Omit<IFormViewProps, 'form' | 'start' | 'onChange'> {
  readonly load: () => Promise<IForm>;
}

/** A form in JupyterLab's main area. */
export class FormPanel extends ReactWidget {
  constructor(
    private readonly source: IFormSource,
    private values: Values
  ) {
    super();
    this.addClass('jp-Tunebook-FormPanel');
    void this.load();
  }

  /** What is set now, for the state that outlives a reload. */
  get current(): Values {
    return this.values;
  }

  /** Emitted when something is set. */
  get edited(): Signal<this, Values> {
    return this._edited;
  }

  protected render(): JSX.Element {
    return <UseSignal signal={this._loaded}>{() => this.body()}</UseSignal>;
  }

  private body(): JSX.Element {
    if (this.failure !== undefined) {
      return <Trouble error={this.failure} retry={() => void this.load()} />;
    }
    if (!this.form) {
      return <Waiting />;
    }
    const { load, ...rest } = this.source;
    return (
      <FormView
        {...rest}
        form={this.form}
        start={this.values}
        onChange={values => {
          this.values = values;
          this._edited.emit(values);
        }}
      />
    );
  }

  private async load(): Promise<void> {
    this.failure = undefined;
    this._loaded.emit();
    try {
      this.form = await this.source.load();
    } catch (error) {
      this.failure = error;
    }
    this._loaded.emit();
  }

  private form: IForm | undefined;
  private failure: unknown;
  private readonly _loaded = new Signal<this, void>(this);
  private readonly _edited = new Signal<this, Values>(this);
}
