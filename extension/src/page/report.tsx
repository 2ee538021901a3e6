import * as React from 'react';

import { Trouble, Waiting } from '../notices';
import { Server, ServerError } from '../server';
import { trans } from '../translation';

/** What the page may do: show itself, with its own pictures. Nothing runs, and nothing is asked for. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:";

/** A run's bias report, in a frame without scripts, forms, or an origin. */
export function BiasReport(props: { server: Server; path: string; isDark: boolean }): JSX.Element {
  const [page, setPage] = React.useState<string>();
  const [failure, setFailure] = React.useState<unknown>();
  React.useEffect(() => {
    let current = true;
    props.server.report(props.path).then(
      text => current && setPage(text),
      error => current && setFailure(error)
    );
    return () => {
      current = false;
    };
  }, [props.path]);
  if (failure instanceof ServerError && failure.status === 404) {
    return <p className="jp-Tunebook-Empty">{trans.__('There is no bias report yet.')}</p>;
  }
  if (failure !== undefined) {
    return <Trouble error={failure} />;
  }
  if (page === undefined) {
    return <Waiting />;
  }
  const meta = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  return (
    <iframe
      className="jp-Tunebook-Report"
      title={trans.__('Bias report')}
      sandbox=""
      referrerPolicy="no-referrer"
      style={{ colorScheme: props.isDark ? 'dark' : 'light' }}
      srcDoc={`<!doctype html>${meta}${page}`}
    />
  );
}
