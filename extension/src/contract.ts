/** What the routes of the server half take and give: see tunebook_lab/openapi.yaml. */
import type { IRecipeSchema, Values } from './form/schema';

export interface IStatus {
  readonly version: string;
  readonly api: number;
  readonly runs_dir: string;
  readonly max_running: number;
  readonly cores: number;
  readonly memory_limit: number;
  readonly memory_available: number;
}

export interface ITemplate {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly task: string;
  readonly icon: string;
  readonly problem: string;
}

export interface IModelChoice {
  readonly name: string;
  readonly title: string;
  readonly parameters: number;
  readonly memory: number;
  readonly fits: boolean;
  readonly local: boolean;
}

export interface IForm {
  readonly name: string;
  readonly path: string;
  readonly title: string;
  readonly summary: string;
  readonly task: string;
  readonly schema: IRecipeSchema;
  readonly groups: readonly string[];
  readonly defaults: Values;
  readonly values: Values;
  readonly computed: readonly string[];
  readonly problems: { readonly [name: string]: string };
  readonly models: readonly IModelChoice[];
  readonly source: string;
}

export interface IChecked {
  readonly values: Values;
  readonly problems: { readonly [name: string]: string };
}

/** A column of a table: what it holds, and its values in the first rows. */
export interface IColumn {
  readonly name: string;
  readonly type: string;
  readonly distinct: number;
  readonly missing: number;
  readonly examples: readonly string[];
}

/** The column for a parameter; an empty one is not clear, and has to be asked for. */
export interface IColumnChoice {
  readonly column: string;
  readonly why: string;
}

export interface IData {
  readonly path: string;
  readonly kind: 'pictures' | 'table' | 'unknown';
  readonly summary: string;
  readonly columns: readonly string[];
  readonly suggestions: readonly { readonly template: string; readonly values: Values }[];
  readonly preview: readonly IColumn[];
  readonly rows: number;
  readonly choices: { readonly [name: string]: IColumnChoice };
}

export type RunState = 'queued' | 'running' | 'finished' | 'stopped' | 'failed' | 'died' | 'unreadable';

export interface IBest {
  readonly name: string;
  readonly value: number;
  readonly epoch?: number;
  readonly trial?: number;
}

export interface IRunRow {
  readonly path: string;
  readonly name: string;
  readonly folder: string;
  readonly kind: 'run' | 'sweep' | 'notebook';
  readonly state: RunState;
  readonly task: string;
  readonly phase: string;
  readonly message: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly progress: number | null;
  readonly loss: number | null;
  readonly seconds_left: number | null;
  readonly baseline: number | null;
  readonly metric: number | null;
  readonly best: IBest | null;
  readonly gap: number | null;
  readonly sparkline: readonly (number | null)[];
  readonly created: number;
  readonly started: number;
  readonly heartbeat: number;
  readonly finished: number;
  readonly paused: boolean;
  readonly examples_per_second: number | null;
  readonly memory: number;
  readonly lr: number | null;
  readonly freeze: string;
  readonly model: string;
  readonly data: string;
  /** Parameters that are not the defaults, beside model and data, as texts. */
  readonly chosen: { readonly [name: string]: string };
  readonly star: boolean;
  readonly tags: readonly string[];
  readonly note: string;
  readonly job: string;
  readonly position: number | null;
  readonly resumable: boolean;
  /** Why it cannot be resumed; empty where it can. */
  readonly obstacle: string;
  readonly controllable: boolean;
  readonly notebook: string;
  readonly report: boolean;
  readonly trials: { readonly done: number; readonly total: number } | null;
  readonly damaged: boolean;
}

/** What a person writes beside a run. */
export interface INotes {
  readonly star: boolean;
  readonly tags: readonly string[];
  readonly note: string;
}

/** What a form begins with that runs a run again. */
export interface IAgain {
  readonly template: string;
  readonly notebook: string;
  readonly name: string;
  readonly folder: string;
  readonly values: Values;
  readonly left_out: readonly string[];
  readonly sweep: {
    readonly space: { readonly [name: string]: string };
    readonly trials: number | null;
    readonly method: 'bayesian' | 'random' | 'grid';
    readonly objectives: readonly string[];
  } | null;
}

export interface IRunList {
  readonly token: string;
  readonly full: boolean;
  readonly runs: readonly IRunRow[];
  readonly removed: readonly string[];
  readonly total: number;
  readonly pending: number;
  readonly truncated: boolean;
}

export type Scores = { readonly [name: string]: number | null };

export interface IStage {
  readonly name: string;
  readonly trains: string;
  readonly epochs: readonly [number, number];
  readonly epoch: number;
  readonly scores: Scores;
}

export interface IFile {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly modified: number;
  readonly what: string;
}

export interface IConfusion {
  readonly split: string;
  readonly step: number;
  readonly counts: readonly (readonly number[])[];
}

/** Pairs of classes, the most frequent mistakes first. */
export interface IMistakes {
  readonly split: string;
  readonly pairs: readonly {
    readonly truth: string;
    readonly prediction: string;
    readonly count: number;
    readonly of: number;
  }[];
  readonly total: number;
}

export interface IRunDetail {
  readonly row: IRunRow;
  readonly recipe: Values;
  /** What the value of each parameter means. */
  readonly words: { readonly [name: string]: string };
  readonly differs: readonly string[];
  readonly metrics: { readonly [model: string]: { readonly [split: string]: Scores } };
  readonly stages: readonly IStage[];
  readonly verdicts: readonly { readonly name: string; readonly reason: string; readonly advice: string }[];
  readonly confusion: IConfusion | null;
  readonly mistakes: IMistakes | null;
  readonly classes: readonly string[];
  readonly class_count: number;
  /** Files that are there and could not be read, and why. */
  readonly remarks: readonly string[];
  readonly figures: readonly IFile[];
  readonly files: readonly IFile[];
  readonly versions: { readonly [name: string]: string };
  readonly card: string;
  readonly cell: string;
  readonly parts: { readonly [name: string]: string };
}

export interface ITrial {
  readonly number: number;
  readonly state: string;
  readonly values: readonly (number | null)[];
  readonly parameters: { readonly [name: string]: string };
  readonly seconds: number | null;
  readonly epoch: number;
  readonly message: string;
}

export interface ITrials {
  readonly objectives: readonly string[];
  readonly parameters: readonly string[];
  readonly trials: readonly ITrial[];
  readonly best: number | null;
  readonly cell: string;
}

export interface IHistogram {
  readonly step: number;
  readonly edges: readonly (number | null)[];
  readonly counts: readonly (number | null)[];
}

export interface IComparison {
  readonly runs: readonly IRunRow[];
  readonly differences: readonly {
    readonly name: string;
    readonly group: string;
    readonly values: readonly unknown[];
    readonly words: readonly string[];
  }[];
  readonly same: number;
  /** Whether all scores are of the same examples and classes. */
  readonly comparable: boolean;
  readonly left_out: readonly { readonly what: string; readonly runs: readonly string[]; readonly why: string }[];
  readonly results: readonly {
    readonly name: string;
    readonly split: string;
    readonly values: readonly (number | null)[];
  }[];
}

export interface INewSweep {
  readonly space: { readonly [name: string]: string };
  readonly trials?: number | null;
  readonly method?: 'bayesian' | 'random' | 'grid';
  readonly objectives?: readonly string[];
}

export interface INewJob {
  readonly template?: string;
  readonly notebook?: string;
  readonly resume?: string;
  readonly values?: Values;
  readonly folder?: string;
  readonly name?: string;
  readonly sweep?: INewSweep;
}

export interface IJob {
  readonly id: string;
  readonly kind: 'run' | 'sweep' | 'resume';
  readonly title: string;
  readonly state: string;
  readonly position: number | null;
  readonly run: string;
  readonly message: string;
}

export interface IQueue {
  readonly max_running: number;
  readonly held: boolean;
  readonly running: number;
  readonly queued: number;
}

export interface IScalarsHeader {
  readonly version: number;
  readonly token: string;
  readonly tags: readonly string[];
  readonly series: readonly {
    readonly tag: string;
    readonly count: number;
    readonly offset: number;
    readonly total: number;
    readonly append: boolean;
  }[];
  readonly texts: readonly { readonly tag: string; readonly step: number; readonly text: string }[];
  readonly histograms: readonly string[];
  readonly damaged: number;
  readonly complete: boolean;
}

/** Points of one series: step, value and wall time by index. */
export interface IPoints {
  readonly steps: Float64Array;
  readonly values: Float64Array;
  readonly times: Float64Array;
}
