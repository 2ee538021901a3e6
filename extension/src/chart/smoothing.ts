/** Exponential moving average of a curve of which not all points are there. */

/**
 * Smooth a curve.
 *
 * A row stands for all points since the row before it; `mean` is their mean and `count` their number, so that a thinned
 * curve is smoothed as the whole one would be. The average is corrected for its start, as Adam's moments are
 * (Kingma and Ba, 2015).
 *
 * @param y - values of the rows; those that are not finite are passed over
 * @param weight - how much of the average a new point leaves, from 0 (nothing is smoothed) to below 1
 * @param mean - mean of the points that a row stands for; the row itself where it is missing
 * @param count - number of points that a row stands for; 1 where it is missing
 * @returns one value a row, NaN where there is none
 */
export function smooth(
  y: ArrayLike<number>,
  weight: number,
  mean?: ArrayLike<number> | null,
  count?: ArrayLike<number> | null
): Float64Array {
  const out = new Float64Array(y.length);
  let average = 0;
  let known = 0;
  for (let i = 0; i < y.length; i++) {
    const value = mean && Number.isFinite(mean[i]) ? mean[i] : y[i];
    if (!Number.isFinite(value)) {
      out[i] = NaN;
      continue;
    }
    const kept = weight ** Math.max(count ? count[i] : 1, 1e-9);
    average = average * kept + value * (1 - kept);
    known = known * kept + (1 - kept);
    out[i] = known > 0 ? average / known : value;
  }
  return out;
}
