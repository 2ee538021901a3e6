import { nullTranslator, ITranslator, TranslationBundle } from '@jupyterlab/translation';

let translator: ITranslator = nullTranslator;
let bundle: TranslationBundle = nullTranslator.load('tunebook');

/** Take the application's language; called once, before anything is shown. */
export function useLanguage(chosen: ITranslator | null): void {
  translator = chosen ?? nullTranslator;
  bundle = translator.load('tunebook');
}

/** The application's translator, for JupyterLab's own components. */
export function language(): ITranslator {
  return translator;
}

/** Texts in the user's language, from the domain `tunebook`. */
export const trans = {
  __: (text: string, ...values: unknown[]): string => bundle.__(text, ...values.map(String)),
  _n: (one: string, many: string, count: number, ...values: unknown[]): string =>
    bundle._n(one, many, count, ...values.map(String))
};
