import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** Where a command prints. */
export interface Terminal {
  print(text: string): void;
  /** Coloured, where a person looks and has not asked for none. */
  paint(style: Style, text: string): string;
  /** Makes room for a picture that takes the place of the one before. */
  clear(): void;
  /** Characters in a line; undefined where nobody looks. */
  columns: number | undefined;
}

/** See https://no-color.org for NO_COLOR, and terminfo(5) for TERM. */
export function createTerminal(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Terminal {
  const isSeen = stream.isTTY === true;
  const isColoured = isSeen && !environment.NO_COLOR && environment.TERM !== 'dumb';
  let isFirst = true;
  return {
    print: text => void stream.write(`${text}\n`),
    paint: (style, text) => (isColoured ? styleText(style, text) : text),
    clear: () => {
      if (isColoured) stream.write('\u001b[H\u001b[2J');
      else if (!isFirst) stream.write('\n');
      isFirst = false;
    },
    columns: isSeen ? stream.columns : undefined,
  };
}
