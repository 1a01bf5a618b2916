// Plots that move: a line, or bands on top of each other, over the last ten minutes.

const PLOT_WIDTH = 600;
const PLOT_HEIGHT = 128;
const PLOT_LEFT = 46;
const PLOT_BOTTOM = 18;
const PLOT_SPAN_MS = 600e3;

/** A figure. `series` is [name, colour class]; bands are stacked, and add up to what the caption tells. */
class Plot {
  constructor({ title, unit, format, series, isStacked = false }) {
    Object.assign(this, { format, series, isStacked });
    this.points = [];
    this.now = make("span", { class: "now" }, DASH);
    this.svg = draw("svg", { preserveAspectRatio: "none", role: "img", tabindex: "0" });
    this.legend = make("ul", { class: "legend" });
    this.values = series.map(([name, colour]) => {
      const value = make("b", {}, "");
      if (series.length > 1) {
        append(this.legend, [make("li", {}, make("span", { class: `swatch ${colour}` }), name, value)]);
      }
      return value;
    });
    this.title = title;
    const caption = make("figcaption", {}, make("h2", {}, title), make("span", { class: "soft" }, unit), this.now);
    this.root = make("figure", { class: "panel plot" }, caption, this.svg, series.length > 1 ? this.legend : null);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("keydown", (event) => this.step(event));
    this.svg.addEventListener("blur", () => this.leave());
    new ResizeObserver(() => this.render()).observe(this.svg);
  }

  /** Points are [milliseconds, [value of each series]]; a value that is not known is null. */
  show(points) {
    this.points = points;
    this.render();
  }

  render() {
    const width = this.svg.clientWidth || PLOT_WIDTH;
    const bottom = PLOT_HEIGHT - PLOT_BOTTOM;
    const last = this.points.at(-1);
    const end = last ? last[0] : Date.now();
    const begin = end - PLOT_SPAN_MS;
    const sum = (values) => values.reduce((total, value) => (value === null ? total : (total ?? 0) + value), null);
    const top = niceTop(Math.max(0, ...this.points.map(([, values]) => (this.isStacked ? sum(values) : Math.max(...values.map((value) => value ?? 0))) ?? 0)), this.format === size ? 1024 : 1000);
    const x = (at) => PLOT_LEFT + ((at - begin) / PLOT_SPAN_MS) * (width - PLOT_LEFT);
    const y = (value) => bottom - (value / top) * (bottom - 6);
    this.scale = { begin, x, y, width, bottom };
    const parts = [0, 0.5, 1].map((share) => [
      draw("line", { class: "grid", x1: PLOT_LEFT, x2: width, y1: y(top * share), y2: y(top * share) }),
      draw("text", { class: "axis", x: PLOT_LEFT - 8, y: y(top * share) + 4, "text-anchor": "end" }, this.format(top * share)),
    ]);
    for (const minutes of [10, 5, 0]) {
      const anchor = minutes === 10 ? "start" : minutes === 0 ? "end" : "middle";
      const label = minutes === 0 ? "now" : `\u2212${minutes} min`;
      parts.push(draw("text", { class: "axis", x: x(end - minutes * 60e3), y: PLOT_HEIGHT - 2, "text-anchor": anchor }, label));
    }
    parts.push(this.isStacked ? this.bands(x, y) : this.lines(x, y, bottom));
    this.cursor = draw("line", { class: "cursor", y1: 4, y2: bottom, visibility: "hidden" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${PLOT_HEIGHT}`);
    this.svg.replaceChildren();
    append(this.svg, [parts, this.cursor]);
    if (this.at === undefined) this.tell(last);
  }

  lines(x, y, bottom) {
    return this.series.map(([, colour], index) => runs(this.points, index).map((run) => {
      const line = run.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      const area = `${x(run[0][0]).toFixed(1)},${bottom} ${line} ${x(run.at(-1)[0]).toFixed(1)},${bottom}`;
      return [
        this.series.length === 1 ? draw("polygon", { class: `area ${colour}`, points: area }) : null,
        draw("polyline", { class: `line ${colour}`, points: line }),
      ];
    }));
  }

  bands(x, y) {
    // The band of a series is drawn over the sum of all up to it, from the last to the first.
    const sums = this.points.map(([at, values]) => {
      let total = 0;
      return [at, values.map((value) => (values.every((it) => it === null) ? null : (total += value ?? 0)))];
    });
    return this.series.map((_, index) => this.series.length - 1 - index).map((index) =>
      runs(sums, index).map((run) => {
        const line = run.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
        const points = `${x(run[0][0]).toFixed(1)},${y(0)} ${line} ${x(run.at(-1)[0]).toFixed(1)},${y(0)}`;
        return draw("polygon", { class: `band ${this.series[index][1]}`, points });
      }));
  }

  tell(point) {
    const values = point ? point[1] : [];
    const known = values.filter((value) => value !== null);
    const total = known.length === 0 ? null : this.isStacked ? known.reduce((one, other) => one + other) : known[0];
    const when = this.at === undefined || !point ? "" : `${clock(point[0])}  `;
    this.now.textContent = `${when}${total === null ? DASH : this.format(total)}`;
    this.values.forEach((element, index) => {
      element.textContent = values[index] === null || values[index] === undefined ? DASH : this.format(values[index]);
    });
    this.svg.setAttribute("aria-label", `${this.title}: ${this.now.textContent}. Arrow keys move through the last ten minutes.`);
  }

  point(event) {
    const at = this.scale.begin + ((event.offsetX - PLOT_LEFT) / (this.scale.width - PLOT_LEFT)) * PLOT_SPAN_MS;
    const nearest = this.points.reduce((best, point, index) => (best < 0 || Math.abs(point[0] - at) < Math.abs(this.points[best][0] - at) ? index : best), -1);
    this.moveTo(nearest);
  }

  step(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
    if (event.key === "Escape") return this.leave();
    if (!(event.key in steps) || this.points.length === 0) return;
    event.preventDefault();
    const from = this.at ?? this.points.length;
    this.moveTo(Math.min(Math.max(from + steps[event.key], 0), this.points.length - 1));
  }

  moveTo(index) {
    if (index < 0) return;
    this.at = index;
    const place = this.scale.x(this.points[index][0]);
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, place);
    this.cursor.setAttribute("visibility", "visible");
    this.tell(this.points[index]);
  }

  leave() {
    this.at = undefined;
    this.cursor?.setAttribute("visibility", "hidden");
    this.tell(this.points.at(-1));
  }
}

/** The parts of a series between what is not known; a point on its own gets a little width, so that it is seen. */
function runs(points, index) {
  const alone = (run) => (run.length > 1 ? run : [[run[0][0] - 900, run[0][1]], [run[0][0] + 900, run[0][1]]]);
  return partsOf(points, index).map(alone);
}

function partsOf(points, index) {
  const found = [];
  let run = [];
  for (const [at, values] of points) {
    const value = values[index];
    if (value === null || value === undefined) {
      if (run.length > 0) found.push(run);
      run = [];
    } else {
      run.push([at, value]);
    }
  }
  if (run.length > 0) found.push(run);
  return found;
}

/** The next of 1, 2, 5 times a power of ten, in the units that are told: of 1000, or of 1024. */
function niceTop(value, base) {
  if (value <= 0) return 1;
  const unit = base ** Math.max(0, Math.floor(Math.log(value) / Math.log(base)));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  return [1, 2, 5, 10].map((step) => step * power * unit).find((step) => step >= value);
}
