// A plot of milliseconds an event against how many links and routes there are, as SVG.
import type { Series } from './row.ts';

const panel = { width: 360, height: 240, left: 56, top: 40, gap: 80 };
const colours = ['#1b6ca8', '#c0392b', '#2e8b57'];

/** A panel for each axis; ten times as many are as far apart everywhere, and none stands where one would. */
export function plot(series: readonly Series[]): string {
  const axes = [...new Set(series.map(({ axis }) => axis))];
  const width = panel.left + axes.length * (panel.width + panel.gap);
  const height = panel.top + panel.height + 60 + 20 * 2;
  const panels = axes.map((axis, i) =>
    drawPanel(
      axis,
      series.filter(one => one.axis === axis),
      panel.left + i * (panel.width + panel.gap),
    ),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    '<title>Milliseconds an event, by links and by routes</title>',
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function drawPanel(axis: string, series: readonly Series[], left: number): string {
  const points = series.flatMap(one => one.points);
  const decades = Math.ceil(Math.log10(Math.max(...points.map(({ x }) => x), 10)));
  const first = Math.min(...points.map(({ x }) => logOf(x)));
  const top = niceAbove(Math.max(...points.map(({ y }) => y)));
  const placeX = (x: number) => tenths(left + ((logOf(x) - first) / (decades - first)) * panel.width);
  const placeY = (y: number) => tenths(panel.top + panel.height * (1 - y / top));
  const bottom = panel.top + panel.height;
  const ticks = [...new Set(points.map(({ x }) => x))];
  return [
    `<text x="${left}" y="${panel.top - 18}" font-weight="bold">milliseconds an event, by ${axis}</text>`,
    ...[0, 0.25, 0.5, 0.75, 1].map(share => {
      const y = placeY(top * share);
      return `<line x1="${left}" x2="${left + panel.width}" y1="${y}" y2="${y}" stroke="#ddd"/><text x="${left - 6}" y="${y + 4}" text-anchor="end">${Number((top * share).toPrecision(3))}</text>`;
    }),
    ...ticks.map(
      x =>
        `<line x1="${placeX(x)}" x2="${placeX(x)}" y1="${bottom}" y2="${bottom + 5}" stroke="#888"/><text x="${placeX(x)}" y="${bottom + 20}" text-anchor="middle">${x.toLocaleString('en')}</text>`,
    ),
    ...series.flatMap(({ name, points }, i) => {
      const colour = colours[i % colours.length];
      const line = points.map(({ x, y }) => `${placeX(x)},${placeY(y)}`);
      const legend = bottom + 44 + 18 * i;
      return [
        `<polyline points="${line.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...points.map(({ x, y }) => `<circle cx="${placeX(x)}" cy="${placeY(y)}" r="3.5" fill="${colour}"/>`),
        `<line x1="${left}" x2="${left + 24}" y1="${legend - 4}" y2="${legend - 4}" stroke="${colour}" stroke-width="2"/><text x="${left + 30}" y="${legend}">${name}</text>`,
      ];
    }),
  ].join('\n');
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function logOf(x: number): number {
  return Math.log10(Math.max(x, 1));
}

/** 1, 2, 4, 5 or 8 of the decade, whichever is the first above. */
function niceAbove(y: number): number {
  const decade = 10 ** Math.floor(Math.log10(y));
  return ([1, 2, 4, 5, 8, 10].find(step => step * decade >= y) ?? 10) * decade;
}
