/** Select Graphic Rendition: on and off, ECMA-48 8.3.117. */
const styles = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;
export type Style = keyof typeof styles;

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

/** Standard output, as far as it matters. */
interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/** See https://no-color.org for NO_COLOR, and terminfo(5) for TERM. */
export function createTerminal(stream: Output, environment: NodeJS.ProcessEnv): Terminal {
  const isSeen = stream.isTTY === true;
  const isColoured = isSeen && !environment.NO_COLOR && environment.TERM !== 'dumb';
  let isFirst = true;
  return {
    print: text => void stream.write(`${text}\n`),
    paint: (style, text) =>
      isColoured ? `\u001b[${styles[style][0]}m${text}\u001b[${styles[style][1]}m` : text,
    clear: () => {
      if (isColoured) stream.write('\u001b[H\u001b[2J');
      else if (!isFirst) stream.write('\n');
      isFirst = false;
    },
    columns: isSeen ? stream.columns : undefined,
  };
}
