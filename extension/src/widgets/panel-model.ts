/** What anywidget hands over, as far as the control panel uses it. */

export interface IPanelModel {
  get(name: string): unknown;
  send(message: unknown): void;
  on(event: string, listener: (message: unknown) => void): void;
  off(event: string, listener: (message: unknown) => void): void;
}

export interface IRenderContext {
  model: IPanelModel;
  el: HTMLElement;
}

/** Draws a part and returns what ends it. */
export type Render = (context: IRenderContext) => () => void;

/** A run that the panel drives. */
export interface ILive {
  run: string;
  where: string;
  words: string;
  alive: boolean;
}

/** Calls back on every new state and on every message of the kernel; returns what ends that. */
export function follow(
  model: IPanelModel,
  onState: () => void,
  onMessage: (message: Record<string, unknown>) => void = () => undefined
): () => void {
  const take = (message: unknown): void => onMessage((message ?? {}) as Record<string, unknown>);
  model.on('change:state', onState);
  model.on('msg:custom', take);
  return () => {
    model.off('change:state', onState);
    model.off('msg:custom', take);
  };
}
