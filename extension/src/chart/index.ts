/** Charts and curves, for the notebook's widgets and for JupyterLab's viewers. Style: `chart.css`, and uPlot's own. */

export { Chart } from './chart';
export type { IChartOptions, ILine, ILook, IMark } from './chart';
export { CurveStore } from './store';
export type { IJsonCurves, IJsonRun, IPatch } from './store';
export { CurvesView } from './view';
export type { IAsk, IViewOptions } from './view';
