import * as React from 'react';

import { ConfusionPage } from '../chart/confusion';
import { pairsFigure } from '../chart/confusion-figure';
import { MistakeList } from '../chart/mistakes';
import { saveMenu } from '../chart/saving';
import type { IConfusion, IMistakes, IRunDetail, Scores } from '../contract';
import { score } from '../quantities';
import { trans } from '../translation';

const SHOWN = ['n', 'accuracy', 'macro_f1', 'roc_auc', 'average_precision', 'specificity', 'loss', 'ece'];

/** Name a score for people. */
export function scoreName(name: string): string {
  const names: Record<string, string> = {
    n: trans.__('examples'),
    macro_f1: 'macro-F1',
    roc_auc: trans.__('ROC AUC'),
    ece: trans.__('calibration error')
  };
  return names[name] ?? name.replace(/_/g, ' ');
}

/** The scores that tables show, those that are known first. */
function columnsOf(rows: readonly Scores[]): string[] {
  const known = new Set(rows.flatMap(row => Object.keys(row).filter(name => typeof row[name] === 'number')));
  return [...SHOWN.filter(name => known.has(name)), ...[...known].filter(name => !SHOWN.includes(name))].slice(0, 8);
}

/** What a run reached: verdicts, scores before and after, stages, and what was taken for what. */
export function Results(props: { detail: IRunDetail }): JSX.Element {
  const { detail } = props;
  const models = Object.entries(detail.metrics).flatMap(([model, splits]) =>
    Object.entries(splits).map(([split, scores]) => ({ model, split, scores }))
  );
  const isEmpty = models.length === 0 && detail.stages.length === 0 && !detail.confusion && !detail.mistakes;
  return (
    <div className="jp-Tunebook-Sections">
      {detail.remarks.map(remark => (
        <p className="jp-Tunebook-Remark" role="note" key={remark}>
          {trans.__('Not shown: %1', remark)}
        </p>
      ))}
      {detail.verdicts.map(verdict => (
        <p className="jp-Tunebook-Verdict" key={verdict.name}>
          <strong>{verdict.name}</strong> {verdict.reason} {verdict.advice}
        </p>
      ))}
      {models.length > 0 && (
        <section>
          <h3>{trans.__('Before and after tuning')}</h3>
          <ScoreTable
            heads={[trans.__('model'), trans.__('split')]}
            rows={models.map(({ model, split, scores }) => ({ names: [model, split], scores }))}
          />
        </section>
      )}
      {detail.stages.length > 0 && (
        <section>
          <h3>{trans.__('Stages, on the validation set')}</h3>
          <ScoreTable
            heads={[trans.__('stage'), trans.__('trains'), trans.__('epochs'), trans.__('best')]}
            rows={detail.stages.map(stage => ({
              names: [stage.name, stage.trains, stage.epochs.join('–'), String(stage.epoch)],
              scores: stage.scores
            }))}
          />
        </section>
      )}
      {detail.confusion && (
        <section>
          <h3>{trans.__('What was taken for what (%1)', detail.confusion.split)}</h3>
          <Confusion confusion={detail.confusion} classes={detail.classes} />
        </section>
      )}
      {!detail.confusion && detail.mistakes && (
        <section>
          <h3>{trans.__('What was taken for what (%1), of %2 classes', detail.mistakes.split, detail.class_count)}</h3>
          <Mistakes mistakes={detail.mistakes} />
        </section>
      )}
      {isEmpty && <p className="jp-Tunebook-Empty">{trans.__('Nothing has been measured yet.')}</p>}
    </div>
  );
}

/** Rows of scores with figures that stand under each other. */
export function ScoreTable(props: {
  heads: readonly string[];
  rows: readonly { readonly names: readonly string[]; readonly scores: Scores }[];
}): JSX.Element {
  const columns = columnsOf(props.rows.map(row => row.scores));
  return (
    <div className="jp-Tunebook-TableHost">
      <table className="jp-Tunebook-Table">
        <thead>
          <tr>
            {props.heads.map(head => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            {columns.map(name => (
              <th key={name} scope="col" className="jp-Tunebook-mod-number">
                {scoreName(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row, place) => (
            <tr key={place}>
              {row.names.map((name, column) =>
                column === 0 ? (
                  <th key={column} scope="row">
                    {name}
                  </th>
                ) : (
                  <td key={column}>{name}</td>
                )
              )}
              {columns.map(name => (
                <td key={name} className="jp-Tunebook-mod-number">
                  {name === 'n' ? (row.scores[name] ?? '–') : score(row.scores[name], 3)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The most frequent mistakes, where there are too many classes for a matrix. */
function Mistakes(props: { mistakes: IMistakes }): JSX.Element {
  const { pairs, total } = props.mistakes;
  const host = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    const list = new MistakeList();
    list.update(pairs, total);
    const menu = saveMenu(() => ({
      name: 'mistakes',
      figure: () => pairsFigure(pairs),
      rows: () => [
        ['truth', 'prediction', 'count', 'of'],
        ...pairs.map(pair => [pair.truth, pair.prediction, pair.count, pair.of])
      ]
    }));
    host.current?.append(menu, list.node);
    return () => {
      menu.remove();
      list.node.remove();
    };
  }, [pairs]);
  return <div ref={host} className="jp-Tunebook-Confusion tb-curves" />;
}

/** One confusion matrix, drawn as under a notebook's cell. */
export function Confusion(props: { confusion: IConfusion; classes: readonly string[] }): JSX.Element {
  const { confusion, classes } = props;
  const host = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (!host.current) {
      return undefined;
    }
    const page = new ConfusionPage(host.current);
    const counts = confusion.counts.flatMap(line => [...line]);
    page.update({ classes: [...classes], steps: [confusion.step], counts: [counts] });
    return () => page.destroy();
  }, [confusion, classes]);
  return <div ref={host} className="jp-Tunebook-Confusion tb-curves" />;
}
