import * as React from 'react';

const WIDTH = 44;
const HEIGHT = 16;

/** A curve the size of a word: values over epochs. */
export function Sparkline(props: { values: readonly (number | null)[] }): JSX.Element | null {
  const known = props.values.flatMap((value, place) => (value === null ? [] : [[place, value] as const]));
  if (known.length < 2) {
    return null;
  }
  const values = known.map(([, value]) => value);
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const last = props.values.length - 1;
  const points = known.map(([place, value]) => {
    const x = 1 + ((WIDTH - 4) * place) / last;
    const y = HEIGHT - 2 - ((HEIGHT - 4) * (value - low)) / span;
    return [x.toFixed(1), y.toFixed(1)] as const;
  });
  const [x, y] = points[points.length - 1];
  return (
    <svg className="jp-Tunebook-Sparkline" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <polyline points={points.map(point => point.join(',')).join(' ')} />
      <circle cx={x} cy={y} r="1.8" />
    </svg>
  );
}
