// One run: the graph as it executes, the panel of a node, the timeline, questions, the end.

import { follow, get, post, runPath } from "./api.js";
import { camera } from "./camera.js";
import { compareDialog } from "./compare.js";
import { badge, duration, fill, h, look, MARKS, said, spent, visible } from "./dom.js";
import { Drawing, MIN_FIRST_SCALE } from "./drawing.js";
import { questionForm } from "./inbox.js";
import { explain, showNode, showRows } from "./panel.js";
import { rerunDialog } from "./rerun.js";
import { showTimeline } from "./timeline.js";

const MAX_STREAM_CHARS = 20000;
const HOLDUP_INTERVAL_MS = 5000;
const HELD_UP = new Set(["waiting", "queued here", "queued there"]);
const OPEN = new Set(["running", "backoff", "asks", "paused", "lost"]);
const ABOUT_RUN = new Set(["no-worker", "run-stuck", "run-paused", "cancelling"]);

export async function showRun(main, signal, id) {
  const view = new RunPage(main, signal, id);
  await view.open();
}

class RunPage {
  constructor(main, signal, id) {
    this.main = main;
    this.signal = signal;
    this.id = id;
    this.boxes = {};
    this.run = {};
    this.streams = new Map();
    this.forms = new Map();
    this.chosen = null;
    this.inner = null; // a node of a row of what is chosen
    this.hash = "";
  }

  async open() {
    this.bar = h("div", { class: "bar" });
    this.stage = h("div", { class: "stage" });
    this.panel = h("aside", { class: "panel", "aria-label": "Details", tabindex: 0 });
    this.below = h("section", { class: "below", hidden: true, "aria-label": "Timeline", tabindex: 0 });
    this.help = h("dialog", {}, h("h2", {}, "Keys"), h("pre", {}, KEYS), h("form", { method: "dialog" }, h("button", {}, "Close")));
    fill(this.main, this.bar, h("div", { class: "split" }, camera(this.stage, () => this.drawing), this.panel), this.below, this.help);
    const { picture } = await get(`${runPath(this.id, "graph")}?document=0&started=1`);
    if (this.signal.aborted) return;
    this.draw(picture);
    this.drawing.fit(MIN_FIRST_SCALE);
    this.drawing.centre(picture.boxes[0]?.address);
    if (picture.total > picture.boxes.filter((box) => !box.address.includes(".")).length) this.stage.prepend(this.finder(picture));
    window.addEventListener("keydown", (event) => this.onKey(event), { signal: this.signal });
    this.watch();
    document.addEventListener("visibilitychange", () => this.watch(), { signal: this.signal });
  }

  draw(picture) {
    this.drawing = new Drawing(picture, (address) => this.choose(address));
    this.drawing.update(this.boxes);
    fill(this.stage, picture.hidden_lines ? h("p", { class: "note" }, `${picture.hidden_lines} more references are not drawn`) : null, this.drawing.element);
  }

  /** Draws the graph that people have made of it, at the same scale. */
  async redraw(hash) {
    this.hash = hash;
    const { picture } = await get(`${runPath(this.id, "graph")}?document=0`);
    if (this.signal.aborted || this.hash !== hash) return;
    const scale = this.drawing.scale;
    this.draw(picture);
    this.drawing.scale = scale;
    this.drawing.resize();
    this.drawing.choose(this.chosen);
  }

  /** A hidden tab gives its connection back: a browser has six for each server. */
  watch() {
    this.stream?.abort();
    if (document.hidden || this.signal.aborted) return;
    this.stream = new AbortController();
    this.signal.addEventListener("abort", () => this.stream.abort());
    follow(this.id, this.stream.signal, (name, data) => this.on(name, data));
  }

  on(name, data) {
    if (name === "state") this.update(data);
    else if (name === "stream") this.hear(data);
    else if (name === "error" || name === "broken") this.note = said(data);
    else if (name === "connected") this.note = "";
    this.drawBar();
  }

  update({ run, boxes, console, trouble }) {
    if (trouble !== undefined) this.note = trouble ?? "";
    if (run) {
      this.run = run;
      const hash = run.changes.at(-1)?.hash ?? this.hash;
      if (hash !== this.hash) this.redraw(hash).catch((error) => (this.note = said(error)));
    }
    if (boxes) {
      Object.assign(this.boxes, boxes);
      this.drawing.update(boxes);
    }
    if (console) this.console = console;
    if (this.chosen === null) this.drawOverview();
    else if (boxes && this.chosen in boxes) this.drawChosen();
    if (!this.below.hidden) this.drawTimeline();
  }

  hear({ path, offset, text }) {
    const whole = (this.streams.get(path) ?? "").slice(0, offset) + text;
    this.streams.set(path, whole.slice(-MAX_STREAM_CHARS));
    const live = this.panel.querySelector(".stream");
    if (live && live.dataset.path === path) live.textContent = visible(this.streams.get(path));
  }

  drawBar() {
    const { state, started, ended, counts = {}, questions = [] } = this.run;
    const told = Object.entries(counts).filter(([phase]) => phase !== "injected").map(([phase, count]) =>
      h("span", { class: `count ${look(phase)}` }, h("span", { class: "mark" }, MARKS[phase] ?? ""), ` ${count.toLocaleString("en")} ${phase}`));
    const open = state === "running" || state === "paused";
    fill(this.bar, state ? badge(state) : null, this.run.paused?.length && open ? badge("paused") : null,
      started ? h("span", { class: "took" }, duration((ended ?? Date.now()) - started)) : null, told,
      spent(this.run.spent) ? h("span", { class: "count" }, spent(this.run.spent)) : null,
      h("span", { class: "space" }),
      questions.length ? h("button", { class: "primary", onclick: () => this.choose(null) }, `${questions.length} ${questions.length > 1 ? "questions" : "question"}`) : null,
      h("button", { onclick: () => this.toggleTimeline(), "aria-pressed": !this.below.hidden }, "Timeline"),
      h("button", { onclick: () => rerunDialog(this.id, this.chosen, (id) => (location.hash = `#/run/${encodeURIComponent(id)}`)) }, "Rerun…"),
      h("button", { onclick: () => compareDialog(this.id) }, "Compare…"),
      open ? h("button", { class: "danger", onclick: () => this.cancel() }, "Cancel run") : null,
      h("button", { onclick: () => this.help.showModal(), "aria-label": "Keys" }, "?"),
      this.note ? h("span", { class: "error", role: "alert" }, this.note) : null);
  }

  /** The form of a question: the same element as long as the question is the same, with what was entered. */
  form(question) {
    const key = JSON.stringify([question.path, question.asked, question.answers]);
    if (!this.forms.has(key)) this.forms.set(key, questionForm(this.id, question, () => {}));
    return this.forms.get(key);
  }

  /** The form of the question that a node asks, if it does. */
  formOf(address) {
    const question = this.run.questions?.find((each) => each.address === address);
    return question ? h("section", { class: "card" }, this.form(question)) : null;
  }

  /** Why nothing happens in the run, or why its steps fail; nothing where calls are on their way. */
  holdup() {
    const boxes = Object.values(this.boxes);
    const waits = boxes.find((box) => box.address && HELD_UP.has(box.phase)) ?? boxes.find((box) => box.address && box.phase === "running");
    const moves = boxes.some((box) => !HELD_UP.has(box.phase) && OPEN.has(box.phase));
    if (this.run.state !== "running" || !waits || (moves && !(this.run.attempt > 1))) {
      this.why = null;
      return null;
    }
    if (!this.why || Date.now() - this.why.at > HOLDUP_INTERVAL_MS) {
      const element = this.why?.element ?? h("div", { class: "why" });
      this.why = { at: Date.now(), element };
      explain(element, this.id, waits.address, (cause) => ABOUT_RUN.has(cause.code) || !moves);
    }
    return this.why.element;
  }

  drawOverview() {
    const typing = this.panel.querySelector("form.question:focus-within")?.dataset.path;
    if (this.run.questions?.some((question) => question.path === typing)) return;
    const { questions = [], failure, errors = {}, problem, queue, state } = this.run;
    if (!state) return fill(this.panel, h("p", { class: "note" }, "Reading the run…"));
    const failed = Object.entries(errors).map(([node, text]) => h("li", {}, h("button", { class: "link", onclick: () => this.choose(node) }, node), ` ${text}`));
    fill(this.panel, h("h2", {}, this.run.name ?? this.id), h("p", { class: "note" }, `task queue ${queue}`),
      problem ? h("p", { class: "error" }, `This version cannot replay the run; shown is what its events say. ${problem}`) : null,
      this.holdup(), failure ? h("p", { class: "error" }, failure) : null, failed.length ? h("ul", {}, failed) : null,
      questions.map((question) => h("section", { class: "card" }, h("h3", {}, question.path), this.form(question))),
      this.run.ended ? h("button", { class: "primary", onclick: () => this.showResult() }, "Show the result") : null,
      steering(this.run),
      this.console?.length ? [h("h3", {}, "Console"), h("pre", { class: "console" }, this.console.map((line) => `${line.address ? `${line.address}: ` : ""}${line.text}`).join("\n"))] : null);
  }

  async showResult() {
    const { state, results } = await get(`${runPath(this.id, "result")}?shown=1`);
    fill(this.panel, h("h2", {}, "Result"), h("p", {}, badge(state)), results ? h("pre", { class: "value" }, results.text) : null,
      results?.cut ? h("p", { class: "note" }, `the first of ${results.chars.toLocaleString("en")} characters; all of them: perdure result ${this.id}`) : null,
      h("button", { onclick: () => this.choose(null) }, "Back"));
  }

  choose(address) {
    const changes = this.chosen !== address;
    this.chosen = address;
    this.inner = null;
    this.drawing.choose(address);
    if (address === null) this.drawOverview();
    else {
      if (changes) fill(this.panel, h("h2", {}, address), h("p", { class: "note" }, "Reading…"));
      this.drawChosen();
    }
  }

  drawChosen() {
    const box = this.boxes[this.chosen];
    const typing = this.panel.querySelector("form.question:focus-within")?.dataset.path;
    if (this.run.questions?.some((question) => question.path === typing && question.address === box?.address)) return;
    const { chosen, inner } = this; // what comes after something else was chosen is not shown
    const open = (address) => {
      this.inner = address;
      this.drawChosen();
    };
    const tools = { id: this.id, streams: this.streams, wanted: () => this.chosen === chosen && this.inner === inner, form: (address) => this.formOf(address), open, close: () => (inner ? open(null) : this.choose(null)) };
    const pass = inner ? showNode(this.panel, inner, tools) : box?.rows ? showRows(this.panel, box.address, box, tools) : box?.address ? showNode(this.panel, box.address, tools) : this.drawMany(box);
    Promise.resolve(pass).catch((error) => tools.wanted() && fill(this.panel, h("p", { class: "error", role: "alert" }, said(error))));
  }

  /** A box that stands for nodes of many rows: its counts, and the way to the rows. */
  drawMany(box) {
    const outer = this.chosen.split(".").slice(0, -1);
    while (outer.length && !this.boxes[outer.join(".")]?.rows) outer.pop();
    fill(this.panel, h("h2", {}, this.chosen),
      box ? Object.entries(box.phases ?? { [box.phase]: box.count }).map(([phase, count]) => h("p", {}, badge(phase), ` ${count}`)) : h("p", {}, "It has not begun."),
      outer.length ? h("button", { onclick: () => this.choose(outer.join(".")) }, `Rows of ${outer.join(".")}`) : null);
  }

  toggleTimeline() {
    this.below.hidden = !this.below.hidden;
    this.drawBar();
    if (!this.below.hidden) this.drawTimeline();
  }

  drawTimeline() {
    if (this.loading) return;
    this.loading = true;
    showTimeline(this.below, this.id, (address) => showNode(this.panel, address, { id: this.id, streams: this.streams, close: () => this.choose(null) }))
      .finally(() => setTimeout(() => (this.loading = false), 1000));
  }

  async cancel() {
    if (!confirm(`Cancel run ${this.id}? Agents that run are stopped.`)) return;
    try {
      await post(runPath(this.id, "cancel"), {});
      this.note = "Cancel requested.";
    } catch (error) {
      this.note = said(error);
    }
    this.drawBar();
  }

  finder(picture) {
    const input = h("input", { type: "search", id: "search", placeholder: `${picture.total} nodes: show the neighbours of …`, "aria-label": "Node" });
    input.addEventListener("change", async () => {
      const found = await get(`${runPath(this.id, "graph")}?document=0&around=${encodeURIComponent(input.value)}`);
      this.drawing = new Drawing(found.picture, (address) => this.choose(address));
      this.drawing.update(this.boxes);
      fill(this.stage, input, this.drawing.element);
    });
    return input;
  }

  onKey(event) {
    if (event.target.closest?.("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      Escape: () => this.choose(null),
      f: () => this.next((box) => box.phase === "failed" || box.phase === "timed-out"),
      a: () => this.next((box) => box.phase === "asks"),
      t: () => this.toggleTimeline(),
      "?": () => this.help.showModal(),
      "/": () => document.getElementById("search")?.focus(),
      "+": () => this.drawing.zoom(1.25),
      "-": () => this.drawing.zoom(0.8),
      0: () => this.drawing.fit(),
      ArrowDown: () => this.drawing.step("out"),
      ArrowUp: () => this.drawing.step("in"),
      ArrowRight: () => this.drawing.step("next"),
      ArrowLeft: () => this.drawing.step("previous"),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  next(wanted) {
    const found = Object.entries(this.boxes).filter(([, box]) => wanted(box)).map(([address]) => address);
    if (!found.length) return;
    const at = found.indexOf(this.chosen);
    this.drawing.focus(found[(at + 1) % found.length]);
  }
}

/** What people have paused and changed in the run. */
function steering({ paused = [], changes = [] }) {
  const line = (change) => h("li", {}, h("strong", {}, change.who || "a person"), ` ${new Date(change.at).toLocaleTimeString()}`,
    change.why ? ` · ${change.why}` : "", h("small", {}, change.what));
  return [
    paused.length ? h("p", {}, badge("paused"), ` ${paused.map((place) => place || "the run").join(", ")}`, h("small", {}, "No call of it starts before it is resumed.")) : null,
    changes.length ? [h("h3", {}, `Changes (${changes.length})`), h("ol", { class: "changes" }, changes.map(line))] : null,
  ].flat();
}

const KEYS = `arrows  follow the edges        Enter  open a node
f       next failure            a      next question
t       timeline                /      search
+ - 0   larger, smaller, fit    Esc    close the node`;
