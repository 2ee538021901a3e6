/** Making elements. */

/** Make an element of a class. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, name = ''): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name) {
    made.className = name;
  }
  return made;
}
