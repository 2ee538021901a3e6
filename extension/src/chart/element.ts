/** Making elements. */

/** Make an element of a class. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, name = ''): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name) {
    made.className = name;
  }
  if (tag === 'button' || tag === 'input') {
    // Lab asks the focused element whether a key is one of its shortcuts, and takes arrows and Enter for a notebook's.
    made.setAttribute('data-lm-suppress-shortcuts', 'true');
  }
  return made;
}
