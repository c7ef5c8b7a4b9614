// The list of runs, with a filter and a search.

import { get } from "./api.js";
import { badge, duration, fill, h, said, spent } from "./dom.js";

const REFRESH_MS = 3000;
const HEADS = ["run", "state", "graph", "started", "took"];
const STATES = ["", "running", "completed", "failed", "canceled", "terminated", "timed-out"];

export async function showList(main, signal) {
  const table = h("tbody"), head = h("tr");
  let hasCosts = false;
  const search = h("input", { type: "search", placeholder: "id begins with …  ( / )", "aria-label": "Search by id", id: "search" });
  const graph = h("input", { type: "text", placeholder: "graph", "aria-label": "Name of the graph" });
  const state = h("select", { "aria-label": "State" }, STATES.map((name) => h("option", { value: name }, name || "any state")));
  const note = h("p", { class: "note", role: "status" });
  const load = async () => {
    const query = new URLSearchParams({ limit: "100" });
    if (search.value) query.set("search", search.value);
    if (graph.value) query.set("graph", graph.value);
    if (state.value) query.set("state", state.value);
    const show = (runs) => {
      if (signal.aborted) return;
      note.textContent = runs.length ? "" : "No runs. Start one: perdure run graph.yaml";
      hasCosts ||= runs.some((run) => run.spent);
      fill(head, [...HEADS, ...(hasCosts ? ["used"] : [])].map((text) => h("th", { scope: "col" }, text)));
      fill(table, runs.map((run) => line(run, hasCosts)));
    };
    if (!hasCosts) show((await get(`/runs?${query}`)).runs); // what they cost takes a moment the first time
    query.set("spent", "1");
    show((await get(`/runs?${query}`)).runs);
  };
  const soon = () => load().catch((error) => (note.textContent = said(error)));
  for (const field of [search, graph, state]) field.addEventListener("input", soon);
  fill(main, h("div", { class: "page" }, h("h1", {}, "Runs"), h("div", { class: "filters" }, search, graph, state), note,
    h("table", { class: "runs" }, h("thead", {}, head), table)));
  const onKey = (event) => {
    if (event.key === "/" && event.target === document.body) {
      event.preventDefault();
      search.focus();
    }
  };
  window.addEventListener("keydown", onKey, { signal });
  await load();
  const timer = setInterval(() => document.hidden || soon(), REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function line(run, hasCosts) {
  const started = new Date(run.started);
  const took = (run.closed ? new Date(run.closed) : new Date()) - started;
  return h("tr", {}, h("td", {}, h("a", { href: `#/run/${encodeURIComponent(run.id)}` }, run.id)),
    h("td", {}, badge(run.state)), h("td", {}, run.graph), h("td", { class: "fit" }, started.toLocaleString()), h("td", { class: "fit" }, duration(took)), hasCosts ? h("td", { class: "fit" }, spent(run.spent ?? {})) : null);
}
