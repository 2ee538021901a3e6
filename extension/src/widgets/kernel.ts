/** Whether the kernel behind a widget is still there. */

/** ipywidgets marks the views of a widget that way once the kernel that has it was restarted or is gone. */
const DISCONNECTED = 'jupyter-widgets-disconnected';

/** Calls back when the kernel of a view goes, and when it is there again; returns what ends that. */
export function watchKernel(view: HTMLElement, tell: (isGone: boolean) => void): () => void {
  let was = false;
  const look = (): void => {
    const isGone = view.closest(`.${DISCONNECTED}`) !== null;
    if (isGone !== was) {
      was = isGone;
      tell(isGone);
    }
  };
  const observer = new MutationObserver(look);
  // A widget in a box has a view of its own in the view of the box; they are put together after this.
  const frame = requestAnimationFrame(() => {
    for (let node: HTMLElement | null = view; node && !node.matches('.jp-OutputArea, body'); node = node.parentElement) {
      observer.observe(node, { attributes: true, attributeFilter: ['class'] });
    }
    look();
  });
  return () => {
    cancelAnimationFrame(frame);
    observer.disconnect();
  };
}
