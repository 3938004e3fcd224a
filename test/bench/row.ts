// What a row of the benchmark has found.

export interface Finding {
  /** What was measured, as the table calls it. */
  what: string;
  figure: string;
  /** What DESIGN asks of it, if it asks anything. */
  target?: string;
  met?: boolean;
}

/** Lines of figures; the first is the head. */
export interface Table {
  title: string;
  lines: readonly (readonly string[])[];
}

/** A line of the plot: milliseconds an event against how many there are. */
export interface Series {
  name: string;
  axis: 'links' | 'routes';
  points: { x: number; y: number }[];
}

export interface Result {
  findings: Finding[];
  tables: Table[];
  series?: Series[];
}

/** At most this much. */
export function atMost(
  limit: number,
  { what, value, figure, unit = '' }: { what: string; value: number; figure: string; unit?: string },
): Finding {
  return { what, figure, target: `<= ${limit}${unit}`, met: value <= limit };
}
