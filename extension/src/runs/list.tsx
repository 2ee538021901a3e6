import * as React from 'react';

import type { IRunRow } from '../contract';
import { trans } from '../translation';
import { Entry } from './entries';
import { ILook, Row, rowHeight } from './rows';

/** Lines drawn above and below what is in sight, so that fast scrolling meets no white. */
const SPARE = 8;

export interface IListProps {
  readonly entries: readonly Entry[];
  readonly look: ILook;
  readonly active: string;
  readonly selected: ReadonlySet<string>;
  readonly unfolded: ReadonlySet<string>;
  readonly onActive: (key: string) => void;
  readonly onSelect: (keys: ReadonlySet<string>) => void;
  readonly onFold: (row: IRunRow, isUnfolded: boolean) => void;
  readonly onOpen: (row: IRunRow) => void;
  readonly onRename: (row: IRunRow) => void;
  readonly onDelete: () => void;
  readonly onStar: (row: IRunRow) => void;
}

/** The runs as a tree of which only the lines in sight are in the page. */
export function RunList(props: IListProps): JSX.Element {
  const { entries, active, selected, unfolded } = props;
  const line = rowHeight(props.look.columns);
  const host = React.useRef<HTMLDivElement>(null);
  const [top, setTop] = React.useState(0);
  const [height, setHeight] = React.useState(600);
  const anchor = React.useRef(active);
  const base = React.useRef(`tunebook-run-${Math.round(Math.random() * 1e9)}`);

  React.useEffect(() => {
    const node = host.current;
    if (!node) {
      return undefined;
    }
    const observer = new ResizeObserver(() => setHeight(node.clientHeight || 600));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);

  const place = entries.findIndex(entry => entry.key === active);
  const first = Math.max(0, Math.floor(top / line) - SPARE);
  const last = Math.min(entries.length, Math.ceil((top + height) / line) + SPARE);

  const go = (to: number, extend: boolean): void => {
    const next = Math.max(0, Math.min(entries.length - 1, to));
    const entry = entries[next];
    if (!entry) {
      return;
    }
    props.onActive(entry.key);
    if (extend) {
      props.onSelect(range(entries, anchor.current, entry.key));
    } else {
      anchor.current = entry.key;
    }
    reveal(host.current, next, line);
  };
  const pick = (entry: Entry, event: React.MouseEvent): void => {
    if (event.button !== 0) {
      props.onActive(entry.key);
      return;
    }
    if (event.shiftKey) {
      event.preventDefault(); // no text is selected
      props.onSelect(range(entries, anchor.current, entry.key));
    } else if (event.ctrlKey || event.metaKey) {
      props.onSelect(toggled(selected, entry));
      anchor.current = entry.key;
    } else {
      props.onSelect(entry.kind === 'run' ? new Set([entry.key]) : new Set());
      anchor.current = entry.key;
    }
    props.onActive(entry.key);
  };
  const key = (event: React.KeyboardEvent): void => {
    const entry = entries[place];
    const page = Math.max(1, Math.floor(height / line) - 1);
    const moves: Record<string, number> = {
      ArrowDown: place + 1,
      ArrowUp: Math.max(0, place - 1),
      PageDown: place + page,
      PageUp: place - page,
      Home: 0,
      End: entries.length - 1
    };
    if (event.key in moves) {
      go(moves[event.key], event.shiftKey);
    } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      props.onSelect(new Set(entries.filter(one => one.kind === 'run').map(one => one.key)));
    } else if (entry && event.key === ' ') {
      props.onSelect(toggled(selected, entry));
    } else if (entry && event.key === 'Enter') {
      props.onOpen(entry.row);
    } else if (entry && event.key === 'F2') {
      props.onRename(entry.row);
    } else if (entry?.kind === 'run' && (event.key === 's' || event.key === 'S') && !event.ctrlKey && !event.metaKey) {
      props.onStar(entry.row);
    } else if (entry && event.key === 'Delete') {
      props.onDelete();
    } else if (entry && (event.key === 'ArrowRight' || event.key === 'ArrowLeft')) {
      fold(entry, event.key === 'ArrowRight');
    } else if (event.key === 'Escape') {
      props.onSelect(new Set());
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const fold = (entry: Entry, open: boolean): void => {
    if (entry.kind === 'trial' && !open) {
      props.onActive(entry.row.path);
    } else if (entry.kind === 'run' && entry.row.kind === 'sweep') {
      props.onFold(entry.row, open);
    }
  };

  return (
    <div
      ref={host}
      className="jp-Tunebook-RunList"
      role="tree"
      tabIndex={0}
      aria-label={trans.__('Runs')}
      aria-multiselectable="true"
      aria-activedescendant={place >= first && place < last ? `${base.current}-${place}` : undefined}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
      onKeyDown={key}
    >
      <div className="jp-Tunebook-RunList-all" role="presentation" style={{ height: entries.length * line }}>
        {entries.slice(first, last).map((entry, offset) => (
          <Row
            key={entry.key}
            id={`${base.current}-${first + offset}`}
            entry={entry}
            place={first + offset}
            look={props.look}
            isActive={entry.key === active}
            isSelected={selected.has(entry.key)}
            isUnfolded={entry.kind === 'run' && unfolded.has(entry.key)}
            onFold={() => props.onFold(entry.row, !unfolded.has(entry.key))}
            onPick={event => pick(entry, event)}
            onOpen={() => props.onOpen(entry.row)}
            onStar={() => props.onStar(entry.row)}
          />
        ))}
      </div>
    </div>
  );
}

function toggled(selected: ReadonlySet<string>, entry: Entry): ReadonlySet<string> {
  const next = new Set(selected);
  if (entry.kind === 'run' && !next.delete(entry.key)) {
    next.add(entry.key);
  }
  return next;
}

function range(entries: readonly Entry[], from: string, to: string): ReadonlySet<string> {
  const places = [from, to].map(key => entries.findIndex(entry => entry.key === key));
  const [low, high] = [Math.min(...places), Math.max(...places)];
  const some = entries.slice(Math.max(0, low), high + 1);
  return new Set(some.filter(entry => entry.kind === 'run').map(entry => entry.key));
}

function reveal(node: HTMLElement | null, place: number, height: number): void {
  if (!node) {
    return;
  }
  const above = place * height;
  if (above < node.scrollTop) {
    node.scrollTop = above;
  } else if (above + height > node.scrollTop + node.clientHeight) {
    node.scrollTop = above + height - node.clientHeight;
  }
}
