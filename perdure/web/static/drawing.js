// The picture of the graph: drawn once, then only what changed is touched. The camera moves only when asked.

import { MARKS, h, look, visible } from "./dom.js";

const LETTERS = {
  f: "failed", t: "timed-out", a: "asks", l: "lost", p: "paused", b: "backoff", r: "running", q: "queued there",
  h: "queued here", x: "abort", w: "waiting", c: "completed", v: "fell-back", i: "injected", s: "skipped", " ": "waiting",
};
const STRIP_HEIGHT = 8;
const MAX_FIT_SCALE = 1.2;
export const MIN_FIRST_SCALE = 0.75;

export class Drawing {
  /** `onChoose(address)` is called when a box is opened. */
  constructor(picture, onChoose) {
    this.picture = picture;
    this.onChoose = onChoose;
    this.boxes = new Map();
    this.svg = h("svg", { class: "graph", viewBox: `-16 -16 ${picture.width + 32} ${picture.height + 32}`, role: "group", "aria-label": "Graph" },
      h("defs", {}, h("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" }, h("path", { d: "M1 1 8 4 1 7" }))),
      picture.boxes.map((box) => this.draw(box)),
      picture.lines.map((line) => h("path", { class: `line ${line.kind}`, d: "M" + line.points.map((point) => point.join(" ")).join(" L"), "marker-end": "url(#arrow)" })));
    this.element = h("div", { class: "canvas" }, this.svg);
    this.scale = 1;
    this.resize();
  }

  draw(box) {
    const title = h("title", {}, box.address);
    const name = h("text", { x: box.x + 12, y: box.y + (box.agent ? 18 : 27) }, box.title);
    const agent = h("text", { class: "agent", x: box.x + 12, y: box.y + 34 }, box.agent);
    const strip = h("g", { class: "strip" });
    const open = () => this.onChoose(box.address);
    const group = h("g", { class: "node", tabindex: 0, role: "button", "aria-label": box.address, dataset: { address: box.address }, onclick: (event) => { event.stopPropagation(); open(); },
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); open(); } } },
      title, h("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: box.kind === "static" ? 20 : 7 }), name, agent, strip);
    this.boxes.set(box.address, { box, group, title, name, agent, strip });
    return group;
  }

  update(states) {
    for (const [address, state] of Object.entries(states)) {
      const drawn = this.boxes.get(address);
      if (!drawn) continue;
      const { box, group } = drawn;
      group.setAttribute("class", `node ${look(state.held ? "paused" : state.phase)}${group.classList.contains("chosen") ? " chosen" : ""}`);
      group.setAttribute("aria-label", `${address}, ${state.held ? "paused" : state.phase}`);
      drawn.title.textContent = visible(`${address}: ${state.phase}${state.failure ? `\n${state.failure}` : ""}`);
      drawn.name.textContent = visible(`${state.held ? MARKS.paused : MARKS[state.phase] ?? ""} ${box.title}`);
      drawn.agent.textContent = visible(detail(box, state));
      if (state.strip !== undefined) this.drawStrip(drawn, state.strip);
    }
  }

  drawStrip({ box, strip }, cells) {
    if (!cells.length) return;
    const width = (box.width - 24) / cells.length;
    const rects = [];
    for (let from = 0, to = 1; from < cells.length; from = to++) {
      while (to < cells.length && cells[to] === cells[from]) to++;
      rects.push(h("rect", { class: look(LETTERS[cells[from]]), x: box.x + 12 + from * width, y: box.y + 41, width: (to - from) * width, height: STRIP_HEIGHT }));
    }
    strip.replaceChildren(...rects);
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

  zoom(factor) {
    this.scale = Math.min(Math.max(this.scale * factor, 0.1), 4);
    this.resize();
  }

  /** The whole picture in the window; not smaller than `least`, and a small one not much larger than drawn. */
  fit(least = 0) {
    const { clientWidth, clientHeight } = this.element.parentElement;
    const scale = Math.min((clientWidth - 16) / (this.picture.width + 32), (clientHeight - 16) / (this.picture.height + 32), MAX_FIT_SCALE);
    this.scale = Math.max(scale, least);
    this.resize();
  }

  resize() {
    this.svg.setAttribute("width", (this.picture.width + 32) * this.scale);
    this.svg.setAttribute("height", (this.picture.height + 32) * this.scale);
  }
}

function detail(box, state) {
  const parts = [state.pass && box.agent ? `pass ${state.pass}` : box.agent];
  if (state.rows) parts.push(`${state.rows.done}/${state.rows.total} rows${state.rows.failed ? `, ${state.rows.failed} failed` : ""}`);
  else if (state.count > 1) parts.push(`${(state.phases?.completed ?? 0) + (state.phases?.["fell-back"] ?? 0) + (state.phases?.skipped ?? 0)}/${state.count}`);
  if (box.hidden) parts.push(`${box.hidden} nodes`);
  return parts.filter(Boolean).join(" · ");
}
