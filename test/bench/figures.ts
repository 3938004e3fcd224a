// What is said of many measurements of one thing.

/** The value below which this share of them lies, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The middle half of them, as `11.2-13.0`. */
export function middleHalf(values: readonly number[], digits = 2): string {
  return `${quantile(values, 0.25).toFixed(digits)}-${quantile(values, 0.75).toFixed(digits)}`;
}

/** The head of a table whose lines are made by `summary`. */
export const summaryHead = ['', 'median', 'middle half', 'p99'];

export function summary(name: string, values: readonly number[], digits = 2): string[] {
  const p99 = quantile(values, 0.99).toFixed(digits);
  return [name, median(values).toFixed(digits), middleHalf(values, digits), p99];
}
