import { lab, outputs } from './lab';
import { start } from './start';

export default [outputs, lab, start];
