import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ISignal, Signal } from '@lumino/signaling';

import type { Values } from './form/schema';

/** What the user set in JupyterLab's settings. */
export interface IPreferences {
  /** Folder whose runs are listed; empty is the server's. */
  readonly folder: string;
  /** How many background runs may run at once; 0 leaves it to the server. */
  readonly limit: number;
  /** Parameters with which the form of a template begins. */
  defaults(template: string): Values;
  readonly changed: ISignal<IPreferences, void>;
}

/** Preferences from the setting registry; its defaults where there is none. */
export class Preferences implements IPreferences {
  folder = '';
  limit = 0;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async load(registry: ISettingRegistry, id: string): Promise<void> {
    const settings = await registry.load(id);
    settings.changed.connect(() => this.take(settings));
    this.take(settings);
  }

  defaults(template: string): Values {
    return { ...this._defaults['*'], ...this._defaults[template] };
  }

  private take(settings: ISettingRegistry.ISettings): void {
    this.folder = String(settings.composite.runsFolder ?? '');
    this.limit = Number(settings.composite.maxRunning ?? 0);
    this._defaults = (settings.composite.defaultParameters ?? {}) as { [template: string]: Values };
    this._changed.emit();
  }

  private _defaults: { [template: string]: Values } = {};
  private readonly _changed = new Signal<this, void>(this);
}
