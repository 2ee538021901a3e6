/** A part of the panel as its view sees it: a state and messages of its own, within the one widget of the panel. */

import type { IPanelModel } from './panel-model';

type Listener = (message: unknown) => void;

/** Gives a part of the panel's model: `state` is the part's, and messages carry its name. */
export function partOf(model: IPanelModel, part: string): IPanelModel {
  const wrapped = new Map<Listener, Listener>();
  const names: Record<string, string> = { 'change:state': `change:${part}` };
  return {
    get: name => {
      if (name === 'state') {
        return model.get(part);
      }
      return name === 'columns' ? (model.get('columns') as Record<string, unknown>)[part] : model.get(name);
    },
    send: message => model.send({ ...(message as object), part }),
    on: (event, listener) => {
      const own: Listener =
        event === 'msg:custom'
          ? message => (message as { part?: unknown } | null)?.part === part && listener(message)
          : listener;
      wrapped.set(listener, own);
      model.on(names[event] ?? event, own);
    },
    off: (event, listener) => {
      model.off(names[event] ?? event, wrapped.get(listener) ?? listener);
      wrapped.delete(listener);
    }
  };
}
