import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  IAgain,
  IChecked,
  IComparison,
  IData,
  IForm,
  IHistogram,
  IJob,
  INewJob,
  INotes,
  IQueue,
  IRunDetail,
  IRunList,
  IStatus,
  ITemplate,
  ITrials
} from './contract';
import type { Values } from './form/schema';
import { IScalars, readScalars } from './scalars';
import { trans } from './translation';

/** An answer of the server half that is no success, as one line for the user. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly status: number
  ) {
    super(message);
  }

  /** Whether there is no server half: an old or disabled one, or none. */
  get missing(): boolean {
    return this.status === MISSING;
  }
}

const MISSING = -1;
const OFFLINE = 0;

type Query = { readonly [name: string]: string | number | readonly string[] | undefined };

/** The routes of the server half. */
export class Server {
  constructor(readonly settings: ServerConnection.ISettings) {}

  status(): Promise<IStatus> {
    return this.json('GET', 'status');
  }

  async templates(): Promise<readonly ITemplate[]> {
    return (await this.json<{ templates: ITemplate[] }>('GET', 'templates')).templates;
  }

  templateForm(name: string): Promise<IForm> {
    return this.json('GET', 'templates/form', { name });
  }

  cellForm(task: string, source: string): Promise<IForm> {
    return this.json('POST', 'notebooks/form', {}, { task, source });
  }

  async writeParameters(task: string, source: string, values: Values): Promise<string> {
    const body = { task, source, values };
    return (await this.json<{ source: string }>('POST', 'notebooks/parameters', {}, body)).source;
  }

  check(task: string, values: Values): Promise<IChecked> {
    return this.json('POST', 'parameters/check', {}, { task, values });
  }

  /** The form of a notebook on the disk. */
  notebookForm(path: string): Promise<IForm> {
    return this.json('GET', 'notebooks/form', { path });
  }

  async createNotebook(
    from: { readonly template: string } | { readonly notebook: string; readonly name: string },
    folder: string,
    values: Values
  ): Promise<string> {
    return (await this.json<{ path: string }>('POST', 'notebooks', {}, { ...from, folder, values })).path;
  }

  data(path: string, folder: string): Promise<IData> {
    return this.json('GET', 'data', { path, folder });
  }

  runs(folder: string, since: string): Promise<IRunList> {
    return this.json('GET', 'runs', { folder, since });
  }

  run(path: string): Promise<IRunDetail> {
    return this.json('GET', 'run', { path });
  }

  async rename(path: string, name: string): Promise<string> {
    return (await this.json<{ path: string }>('PATCH', 'run', { path }, { name })).path;
  }

  /** Write some of what stands beside a run. */
  notes(path: string, change: Partial<INotes>): Promise<INotes> {
    return this.json('PATCH', 'run/notes', { path }, change);
  }

  again(path: string): Promise<IAgain> {
    return this.json('GET', 'run/again', { path });
  }

  async remove(path: string): Promise<void> {
    await this.json('DELETE', 'run', { path });
  }

  async command(path: string, command: string, value: unknown = null): Promise<void> {
    await this.json('POST', 'run/commands', { path }, { command, value });
  }

  trials(path: string): Promise<ITrials> {
    return this.json('GET', 'run/trials', { path });
  }

  async histograms(path: string, tag: string): Promise<readonly IHistogram[]> {
    return (await this.json<{ histograms: IHistogram[] }>('GET', 'histograms', { path, tag })).histograms;
  }

  compare(path: readonly string[]): Promise<IComparison> {
    return this.json('GET', 'compare', { path });
  }

  submit(job: INewJob): Promise<IJob> {
    return this.json('POST', 'jobs', {}, job);
  }

  cancel(id: string): Promise<IJob> {
    return this.json('DELETE', 'jobs', { id });
  }

  async log(id: string): Promise<string> {
    return (await this.json<{ text: string }>('GET', 'jobs/log', { id })).text;
  }

  setQueue(change: { max_running?: number; held?: boolean }): Promise<IQueue> {
    return this.json('PATCH', 'queue', {}, change);
  }

  /** The page of a run's bias report, as text: it is shown in a frame that may do nothing. */
  async report(path: string): Promise<string> {
    return (await this.ask('GET', 'run/report', { path, format: 'html' })).text();
  }

  /** A whole run as one page to hand on. */
  async handout(path: string): Promise<Blob> {
    return (await this.ask('GET', 'run/handout', { path })).blob();
  }

  async scalars(query: {
    path: string;
    since?: string;
    width?: number;
    tag?: readonly string[];
    start?: number;
    end?: number;
  }): Promise<IScalars> {
    const response = await this.ask('GET', 'scalars', query);
    return readScalars(await response.arrayBuffer());
  }

  private async json<T>(method: string, route: string, query: Query = {}, body?: unknown): Promise<T> {
    const response = await this.ask(method, route, query, body);
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  private async ask(method: string, route: string, query: Query, body?: unknown): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, 'tunebook', 'api', route) + queryText(query);
    const init: RequestInit = { method, body: body === undefined ? undefined : JSON.stringify(body) };
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
    } catch {
      throw new ServerError(trans.__('The Jupyter server does not answer; is it still running?'), OFFLINE);
    }
    if (!response.ok) {
      throw await refusal(response);
    }
    return response;
  }
}

async function refusal(response: Response): Promise<ServerError> {
  const text = await response.text();
  try {
    const said = (JSON.parse(text) as { message?: unknown }).message;
    // Jupyter answers for routes that nobody serves with a message of its own, too.
    if (typeof said === 'string' && said !== '' && !(response.status === 404 && said === 'Not Found')) {
      return new ServerError(said, response.status);
    }
  } catch {
    // It is a page of a proxy or of Jupyter's own: its status says enough.
  }
  if (response.status === 404) {
    return new ServerError(missingText(), MISSING);
  }
  const said = trans.__('The server refused the request: %1 %2', response.status, response.statusText);
  return new ServerError(said, response.status);
}

/** The one message for a JupyterLab without the server half. */
export function missingText(): string {
  return trans.__(
    "Tunebook's server half is not running. Enable it with “jupyter server extension enable tunebook_lab”, " +
      'and restart JupyterLab.'
  );
}

/** What an error says to the user, in one line. */
export function oneLine(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0] : String(error);
}

function queryText(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) {
      continue;
    }
    for (const part of Array.isArray(value) ? (value as readonly string[]) : [value]) {
      search.append(name, String(part));
    }
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
