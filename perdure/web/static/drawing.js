// The picture of the graph: drawn once, then only what changed is touched. The camera moves only when asked.

import { MARKS, h, look, visible } from "./dom.js";

const LETTERS = {
  f: "failed", t: "timed-out", a: "asks", l: "lost", p: "paused", b: "backoff", r: "running", q: "queued there",
  h: "queued here", x: "abort", w: "waiting", c: "completed", v: "fell-back", i: "injected", s: "skipped", " ": "waiting",
};
const STRIP_HEIGHT = 8;
const MAX_FIT_SCALE = 1.2;
const MARGIN_PX = 64; // that of .stage
const STRETCH_END_MS = 150;
const LINES_PER_PATH = 12;
const ARROW = { length: 7, width: 3 };
const MIN_SCALE = 0.1;
const MAX_SCALE = 4;
export const MIN_FIRST_SCALE = 0.75;

export class Drawing {
  /** `onChoose(address)` is called when a box is opened. */
  constructor(picture, onChoose) {
    this.picture = picture;
    this.onChoose = onChoose;
    this.boxes = new Map();
    this.svg = h("svg", { class: "graph", viewBox: `-16 -16 ${picture.width + 32} ${picture.height + 32}`, role: "group", "aria-label": "Graph" },
      picture.boxes.map((box) => this.draw(box)), paths(picture.lines));
    this.element = h("div", { class: "canvas" }, this.svg);
    this.scale = 1;
    this.resize();
  }

  draw(box) {
    const name = h("text", { x: box.x + 12, y: box.y + (box.agent ? 18 : 27) }, box.title);
    const agent = h("text", { class: "agent", x: box.x + 12, y: box.y + 34 }, box.agent);
    const open = () => this.onChoose(box.address);
    const group = h("g", { class: "node", tabindex: 0, role: "button", "aria-label": box.address, dataset: { address: box.address }, onclick: (event) => { event.stopPropagation(); open(); },
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); open(); } } },
      h("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: box.kind === "static" ? 20 : 7 }), name, agent);
    const drawn = { box, group, name, agent, tip: box.address, strip: null };
    group.addEventListener("pointerenter", () => { // one for each box would be a fifth of all elements
      group.querySelector("title")?.remove();
      group.prepend(h("title", {}, drawn.tip));
    });
    this.boxes.set(box.address, drawn);
    return group;
  }

  update(states) {
    for (const [address, state] of Object.entries(states)) {
      const drawn = this.boxes.get(address);
      if (!drawn) continue;
      const { box, group } = drawn;
      group.setAttribute("class", `node ${look(state.held ? "paused" : state.phase)}${group.classList.contains("chosen") ? " chosen" : ""}`);
      group.setAttribute("aria-label", `${address}, ${state.held ? "paused" : state.phase}`);
      drawn.tip = `${address}: ${state.phase}${state.failure ? `\n${state.failure}` : ""}`;
      drawn.name.textContent = visible(`${state.held ? MARKS.paused : MARKS[state.phase] ?? ""} ${box.title}`);
      drawn.agent.textContent = visible(detail(box, state));
      if (state.strip !== undefined) this.drawStrip(drawn, state.strip);
    }
  }

  drawStrip(drawn, cells) {
    if (!cells.length) return;
    const { box } = drawn;
    drawn.strip ??= drawn.group.appendChild(h("g", { class: "strip" }));
    const width = (box.width - 24) / cells.length;
    const rects = [];
    for (let from = 0, to = 1; from < cells.length; from = to++) {
      while (to < cells.length && cells[to] === cells[from]) to++;
      rects.push(h("rect", { class: look(LETTERS[cells[from]]), x: box.x + 12 + from * width, y: box.y + 41, width: (to - from) * width, height: STRIP_HEIGHT }));
    }
    drawn.strip.replaceChildren(...rects);
  }

  choose(address) {
    this.svg.querySelector(".chosen")?.classList.remove("chosen");
    this.boxes.get(address)?.group.classList.add("chosen");
  }

  /** Opens a node and brings it into view. */
  focus(address) {
    const drawn = this.boxes.get(address);
    this.onChoose(address);
    drawn?.group.focus();
    drawn?.group.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Moves the focus along the edges, or to the neighbour in the document. */
  step(way) {
    const current = document.activeElement?.dataset?.address;
    const order = this.picture.boxes.map((box) => box.address);
    let target = order[0];
    if (current !== undefined) {
      const lines = this.picture.lines.filter((line) => line.kind !== "update");
      if (way === "out") target = lines.find((line) => line.source === current)?.target;
      else if (way === "in") target = lines.find((line) => line.target === current)?.source;
      else target = order[(order.indexOf(current) + (way === "next" ? 1 : order.length - 1)) % order.length];
    }
    this.boxes.get(target)?.group.focus();
  }

  /** Larger or smaller; what is at this place of the window, or in its middle, stays there. */
  zoom(factor, at) {
    const stage = this.element.parentElement;
    const { x = stage.clientWidth / 2, y = stage.clientHeight / 2 } = at ?? {};
    const before = this.scale;
    this.scale = Math.min(Math.max(before * factor, MIN_SCALE), MAX_SCALE);
    const left = (stage.scrollLeft + x) * (this.scale / before) - x, top = (stage.scrollTop + y) * (this.scale / before) - y;
    this.resize();
    stage.scrollTo(left, top);
  }

  /**
   * Larger or smaller while a wheel or a touchpad goes on: the picture is stretched, and drawn again at its end,
   * because to draw hundreds of nodes takes longer than a frame.
   */
  stretch(factor, at) {
    const stage = this.element.parentElement;
    this.stretched ??= { factor: 1, at };
    const of = this.stretched;
    of.factor = Math.min(Math.max(of.factor * factor, MIN_SCALE / this.scale), MAX_SCALE / this.scale);
    this.element.style.setProperty("will-change", "transform");
    this.element.style.setProperty("transform-origin", `${stage.scrollLeft + of.at.x}px ${stage.scrollTop + of.at.y}px`);
    this.element.style.setProperty("transform", `scale(${of.factor})`);
    clearTimeout(of.timer);
    of.timer = setTimeout(() => {
      this.stretched = null;
      for (const rule of ["transform", "transform-origin", "will-change"]) this.element.style.removeProperty(rule);
      this.zoom(of.factor, of.at);
    }, STRETCH_END_MS);
  }

  /** Brings a box into the middle, for a first look at a picture that is larger than the window. */
  centre(address) {
    this.boxes.get(address)?.group.scrollIntoView({ block: "center", inline: "center" });
  }

  /** The whole picture in the window; not smaller than `least`, and a small one not much larger than drawn. */
  fit(least = 0) {
    const { clientWidth, clientHeight } = this.element.parentElement;
    const scale = Math.min((clientWidth - 16) / (this.picture.width + 32), (clientHeight - MARGIN_PX) / (this.picture.height + 32), MAX_FIT_SCALE);
    this.scale = Math.max(scale, least);
    this.resize();
  }

  resize() {
    this.svg.setAttribute("width", (this.picture.width + 32) * this.scale);
    this.svg.setAttribute("height", (this.picture.height + 32) * this.scale);
  }
}

/**
 * The edges, some in each path, and their heads: an element for each would be twice as many as there are nodes, and
 * one for all would be drawn whole whenever a part of it comes into view.
 */
function paths(lines) {
  const shapes = [];
  for (const [kind, each] of Map.groupBy(lines, (line) => line.kind))
    for (let from = 0; from < each.length; from += LINES_PER_PATH) {
      const some = each.slice(from, from + LINES_PER_PATH);
      shapes.push(h("path", { class: `line ${kind}`, d: some.map(({ points }) => `M${points.map((point) => point.join(" ")).join(" L")}`).join(" ") }),
        h("path", { class: "line", d: some.map(head).join(" ") }));
    }
  return shapes;
}

function head({ points }) {
  const [x, y] = points.at(-1), [fromX, fromY] = points.at(-2) ?? [x, y - 1];
  const length = Math.hypot(x - fromX, y - fromY) || 1;
  const [alongX, alongY] = [(x - fromX) / length * ARROW.length, (y - fromY) / length * ARROW.length];
  const [acrossX, acrossY] = [-alongY / ARROW.length * ARROW.width, alongX / ARROW.length * ARROW.width];
  return `M${x - alongX + acrossX} ${y - alongY + acrossY} L${x} ${y} L${x - alongX - acrossX} ${y - alongY - acrossY}`;
}

function detail(box, state) {
  const parts = [state.pass && box.agent ? `pass ${state.pass}` : box.agent];
  if (state.rows) parts.push(`${state.rows.done}/${state.rows.total} rows${state.rows.failed ? `, ${state.rows.failed} failed` : ""}`);
  else if (state.count > 1) parts.push(`${(state.phases?.completed ?? 0) + (state.phases?.["fell-back"] ?? 0) + (state.phases?.skipped ?? 0)}/${state.count}`);
  if (box.hidden) parts.push(`${box.hidden} nodes`);
  return parts.filter(Boolean).join(" · ");
}
