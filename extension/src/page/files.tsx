import { URLExt } from '@jupyterlab/coreutils';
import * as React from 'react';

import type { IFile } from '../contract';
import { bytes, moment } from '../quantities';
import { trans } from '../translation';

/** The files of a run; a click opens one as the file browser would. */
export function Files(props: { files: readonly IFile[]; open: (path: string) => void }): JSX.Element {
  return (
    <div className="jp-Tunebook-TableHost">
      <table className="jp-Tunebook-Table">
        <thead>
          <tr>
            <th scope="col">{trans.__('file')}</th>
            <th scope="col">{trans.__('what')}</th>
            <th scope="col" className="jp-Tunebook-mod-number">
              {trans.__('size')}
            </th>
            <th scope="col">{trans.__('changed')}</th>
          </tr>
        </thead>
        <tbody>
          {props.files.map(file => (
            <tr key={file.path}>
              <th scope="row">
                <button type="button" className="jp-Tunebook-Link" onClick={() => props.open(file.path)}>
                  {file.name}
                </button>
              </th>
              <td>{file.what}</td>
              <td className="jp-Tunebook-mod-number">{bytes(file.size)}</td>
              <td>{moment(file.modified)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Pictures that a run or a sweep left, with what they show. */
export function Figures(props: { figures: readonly IFile[]; baseUrl: string }): JSX.Element {
  return (
    <div className="jp-Tunebook-Figures">
      {props.figures.map(figure => (
        <figure key={figure.path}>
          <img
            src={`${URLExt.join(props.baseUrl, 'files', URLExt.encodeParts(figure.path))}?v=${Math.round(figure.modified)}`}
            alt={figure.what}
            loading="lazy"
          />
          <figcaption>{figure.what}</figcaption>
        </figure>
      ))}
    </div>
  );
}
