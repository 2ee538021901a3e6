import type { IPoints, IScalarsHeader } from './contract';

/** An answer of the scalars route: its header, and points by tag. */
export interface IScalars {
  readonly header: IScalarsHeader;
  readonly points: ReadonlyMap<string, IPoints & { readonly append: boolean; readonly total: number }>;
}

/** Read the binary answer: a uint32 length, JSON padded to a multiple of 8 bytes, then float64 arrays. */
export function readScalars(buffer: ArrayBuffer): IScalars {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  const header = JSON.parse(text) as IScalarsHeader;
  const body = buffer.slice(4 + length);
  const points = new Map<string, IPoints & { append: boolean; total: number }>();
  for (const { tag, count, offset, append, total } of header.series) {
    const column = (place: number): Float64Array => new Float64Array(body, offset + 8 * count * place, count);
    points.set(tag, { steps: column(0), values: column(1), times: column(2), append, total });
  }
  return { header, points };
}
