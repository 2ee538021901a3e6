/** Whether the kernel behind a widget is still there. */

interface IEvents {
  on(event: string, listener: (message: unknown) => void): void;
  off(event: string, listener: (message: unknown) => void): void;
}

/** What ipywidgets' models tell when the kernel that has their other half is restarted: it never comes back. */
const EVENT = 'comm_live_update';

/** Calls back when the kernel of a widget goes; returns what ends that. */
export function watchKernel(model: IEvents, tell: () => void): () => void {
  model.on(EVENT, tell);
  return () => model.off(EVENT, tell);
}
