/** The part of anywidget's model that the curves and the training bar use. */

export interface IWidgetModel {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: 'msg:custom', callback: (content: unknown, buffers: ArrayBufferView[]) => void): void;
  off(event: 'msg:custom', callback: (content: unknown, buffers: ArrayBufferView[]) => void): void;
}

export interface IRenderContext {
  model: IWidgetModel;
  el: HTMLElement;
}
