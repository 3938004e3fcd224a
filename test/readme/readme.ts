/** A fenced block of a Markdown text. */
export interface Block {
  language: string;
  /** Of its first line. */
  line: number;
  text: string;
}

/** A command of the README, and the output that it claims. */
export interface Command {
  command: string;
  line: number;
  output?: string;
}

/** What the README says, in pieces that can be tried. */
export interface Readme {
  blocks: Block[];
  commands: Command[];
  /** Rows of its tables, cell by cell, by the heading of the first column. */
  tables: Map<string, string[][]>;
}

/** Words that a code span of prose begins with if it is something to type. */
const programs =
  /^([A-Z_]+=\S+ )?(npm|npx|node|sudo|ppp-routectl|ip \S+ \S+|systemctl|journalctl|run-parts) \S/;

export function readReadme(text: string): Readme {
  const lines = text.split('\n');
  const blocks: Block[] = [];
  const commands: Command[] = [];
  const tables: Readme['tables'] = new Map();
  let open: Block | undefined;
  let table: string[][] | undefined;
  lines.forEach((content, i) => {
    const fence = /^```(\w*)$/.exec(content);
    if (open !== undefined) {
      if (fence === null) open.text += `${content}\n`;
      else {
        blocks.push(open);
        commands.push(...commandsOf(open));
        open = undefined;
      }
    } else if (fence !== null) open = { language: fence[1] ?? '', line: i + 2, text: '' };
    else {
      for (const [, span = ''] of content.matchAll(/`([^`]+)`/g))
        if (programs.test(span)) commands.push({ command: span, line: i + 1 });
      if (!content.startsWith('|')) table = undefined;
      else {
        const cells = content
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map(cell => cell.trim());
        if (table === undefined) {
          table = [];
          tables.set(cells[0] ?? '', table);
        } else if (!/^-+$/.test(cells[0] ?? '')) table.push(cells);
      }
    }
  });
  return { blocks, commands, tables };
}

/** `sh`: a command a line. `console`: `$ ` begins a command, what it prints follows. */
function commandsOf({ language, line, text }: Block): Command[] {
  const lines = text.trimEnd().split('\n');
  if (language === 'sh') return lines.map((command, i) => ({ command, line: line + i }));
  if (language !== 'console') return [];
  const commands: (Command & { output: string })[] = [];
  lines.forEach((content, i) => {
    if (content.startsWith('$ ')) commands.push({ command: content.slice(2), line: line + i, output: '' });
    else {
      const current = commands.at(-1);
      if (current === undefined) throw new Error(`README.md:${line + i}: output without a command`);
      current.output += `${content}\n`;
    }
  });
  return commands;
}

/** A pattern of an output in which `…` stands for anything, and `…` alone on a line for any lines. */
export function patternOf(output: string): RegExp {
  const lines = output.trimEnd().split('\n');
  const source = lines.map(line =>
    line === '…' ? '(?:.*\n)*?' : `${line.split('…').map(escapeRegExp).join('.*')} *\n`,
  );
  return new RegExp(`^${source.join('')}$`);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
