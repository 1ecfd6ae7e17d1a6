export { readMarks, setMark, type Mark } from './marks.ts';
