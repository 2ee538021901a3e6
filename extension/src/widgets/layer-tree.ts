/** The rows of the layer view: stages, and modules below them. */

export interface ILayerColumns {
  words: string[];
  labels: number[];
  kinds: number[];
  depths: number[];
  sizes: number[];
  sites: number[][];
  /** Rows below a stage whose label is the whole path. */
  roots: number[];
}

export class LayerTree {
  readonly count: number;
  readonly total: number;
  /** Rows that are stages, from input to head. */
  readonly stages: number[] = [];
  /** Number of each row's stage. */
  readonly stageOf: number[] = [];
  /** Row above each, -1 for a stage. */
  readonly parents: number[] = [];
  /** Row behind the last one below each. */
  readonly ends: number[];
  readonly paths: string[] = [];
  readonly sites = new Map<number, string[]>();
  private readonly open = new Set<number>();
  private found: Set<number> | null = null;
  /** Rows in sight, in order. */
  visible: number[] = [];

  constructor(private readonly columns: ILayerColumns) {
    this.count = columns.depths.length;
    this.ends = new Array<number>(this.count).fill(this.count);
    const above: number[] = [];
    const roots = new Set(columns.roots);
    for (let row = 0; row < this.count; row++) {
      while (above.length > columns.depths[row]) {
        this.ends[above.pop()!] = row;
      }
      const parent = above.length ? above[above.length - 1] : -1;
      this.parents.push(parent);
      if (parent < 0) {
        this.stages.push(row);
      }
      this.stageOf.push(this.stages.length - 1);
      const label = this.label(row);
      this.paths.push(parent < 0 || roots.has(row) ? label : `${this.paths[parent]}.${label}`);
      above.push(row);
    }
    this.total = this.stages.reduce((sum, row) => sum + columns.sizes[row], 0) || 1;
    for (const [row, ...kinds] of columns.sites) {
      this.sites.set(
        row,
        kinds.map(kind => columns.words[kind])
      );
    }
    this.refresh();
  }

  label(row: number): string {
    return this.columns.words[this.columns.labels[row]];
  }

  kind(row: number): string {
    return this.columns.words[this.columns.kinds[row]];
  }

  depth(row: number): number {
    return this.columns.depths[row];
  }

  size(row: number): number {
    return this.columns.sizes[row];
  }

  isBranch(row: number): boolean {
    return this.ends[row] > row + 1;
  }

  isOpen(row: number): boolean {
    return this.found !== null || this.open.has(row);
  }

  setOpen(row: number, open: boolean): void {
    if (this.isBranch(row) && open !== this.open.has(row)) {
      if (open) {
        this.open.add(row);
      } else {
        this.open.delete(row);
      }
      this.refresh();
    }
  }

  /** Shows rows whose path or kind has a text in it, with what is above them; returns their number, all without one. */
  search(text: string): number {
    const wanted = text.trim().toLowerCase();
    if (!wanted) {
      this.found = null;
      this.refresh();
      return this.count;
    }
    this.found = new Set();
    let hits = 0;
    for (let row = 0; row < this.count; row++) {
      const here = `${this.paths[row]} ${this.kind(row)} ${(this.sites.get(row) ?? []).join(' ')}`.toLowerCase();
      if (here.includes(wanted)) {
        hits += 1;
        for (let at = row; at >= 0 && !this.found.has(at); at = this.parents[at]) {
          this.found.add(at);
        }
      }
    }
    this.refresh();
    return hits;
  }

  private refresh(): void {
    this.visible = [];
    for (let row = 0; row < this.count; ) {
      if (this.found && !this.found.has(row)) {
        row = this.ends[row];
        continue;
      }
      this.visible.push(row);
      row = this.isOpen(row) ? row + 1 : this.ends[row];
    }
  }
}
