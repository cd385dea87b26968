/** Curves over one axis of time, one panel above the other, as an SVG without scripts or fonts. */

export interface Curve {
  readonly title: string;
  readonly colour: string;
  /** Second, value. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly curves: readonly Curve[];
}

export interface Plot {
  readonly title: string;
  /** Lines below the title. */
  readonly notes: readonly string[];
  readonly seconds: number;
  /** Drawn grey, with its name: from second, to second. */
  readonly phase: { readonly from: number; readonly to: number; readonly title: string };
  readonly panels: readonly Panel[];
}

const WIDTH = 760;
const LEFT = 70;
const RIGHT = 20;
const TOP = 50;
const NOTE_STEP = 16;
const PANEL_HEIGHT = 110;
const PANEL_STEP = 160;
const TICKS = 10;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const round = (value: number): string => value.toFixed(1).replace(/\.0$/, "");

/** 1, 2 or 5 with zeros, at least `value`. */
function ceiling(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return ([1, 2, 5, 10].find((step) => step * unit >= value) ?? 10) * unit;
}

const label = (x: number, y: number, text: string, more = ""): string =>
  `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(text)}</text>`;

const firstPanel = ({ notes }: Plot): number => TOP + notes.length * NOTE_STEP + 30;

function panel({ title, unit, curves }: Panel, at: number, plot: Plot): readonly string[] {
  const top = firstPanel(plot) + at * PANEL_STEP;
  const bottom = top + PANEL_HEIGHT;
  const max = ceiling(
    Math.max(...curves.flatMap(({ points }) => points.map(([, value]) => value))),
  );
  const x = (second: number) => LEFT + (second / plot.seconds) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => bottom - (value / max) * PANEL_HEIGHT;
  const { phase } = plot;
  const line = (points: Curve["points"]) =>
    points.map(([second, value]) => `${round(x(second))},${round(y(value))}`).join(" ");
  const ticks = Array.from({ length: Math.floor(plot.seconds / TICKS) + 1 }, (_, n) => n * TICKS);
  return [
    `<rect x="${round(x(phase.from))}" y="${top}" width="${round(x(phase.to) - x(phase.from))}" height="${PANEL_HEIGHT}" fill="#eee"/>`,
    `<path d="M${LEFT} ${top}V${bottom}H${WIDTH - RIGHT}" fill="none" stroke="#333"/>`,
    label(LEFT, top - 8, `${title}, ${unit}`, 'font-weight="bold"'),
    label(LEFT - 6, top + 5, `${max}`, 'text-anchor="end"'),
    label(LEFT - 6, bottom, "0", 'text-anchor="end"'),
    ...ticks.map((second) => label(x(second), bottom + 14, `${second} s`, 'text-anchor="middle"')),
    ...curves.flatMap(({ title: name, colour, points }, index) => [
      `<polyline points="${line(points)}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      label(WIDTH - RIGHT - 110 * (curves.length - index), top - 8, name, `fill="${colour}"`),
    ]),
  ];
}

export function svg(plot: Plot): string {
  const height = firstPanel(plot) + plot.panels.length * PANEL_STEP;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    label(LEFT, 22, plot.title, 'font-size="14" font-weight="bold"'),
    label(LEFT, 40, `Grey: ${plot.phase.title}`),
    ...plot.notes.map((note, at) => label(LEFT, 40 + (at + 1) * NOTE_STEP, note)),
    ...plot.panels.flatMap((one, at) => panel(one, at, plot)),
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}
