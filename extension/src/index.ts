import { lab, outputs } from './lab';

export default [outputs, lab];
