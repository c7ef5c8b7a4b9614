// The panel: one node with all that is known of it, or the rows of a map.

import { get, runPath } from "./api.js";
import { MARKS, badge, duration, fill, h, look, spent } from "./dom.js";

const PAGE_ROWS = 50;
const PHASES = ["", "failed", "timed-out", "running", "queued there", "queued here", "backoff", "asks", "waiting", "completed", "fell-back", "skipped"];

const part = (address) => encodeURIComponent(address);
const clock = (time) => (time === null ? "–" : new Date(time).toLocaleTimeString());

/** Inputs, params, result, attempts, console of the node at `address`. */
export async function showNode(panel, address, { id, streams, close, open, form = () => null, wanted = () => true }) {
  const node = await get(runPath(id, "nodes", part(address)));
  if (!wanted()) return;
  const path = node.attempts.at(-1)?.path ?? address;
  const streamed = streams.get(path) ?? streams.get(address);
  const why = h("div", { class: "why" });
  const question = node.phase === "asks" ? form(node.address) : null;
  fill(panel, h("div", { class: "head" }, h("h2", {}, node.address), h("button", { onclick: close, "aria-label": "Close" }, "×")),
    h("p", {}, badge(node.phase), node.agent ? ` ${node.agent}` : " static", node.pass ? ` · pass ${node.pass}` : ""),
    h("p", { class: "note" }, times(node)), why, question,
    node.failure ? h("pre", { class: "error" }, node.failure) : null,
    streamed && node.ended === null ? [h("h3", {}, "Streams"), h("pre", { class: "stream", dataset: { path } }, streamed)] : null,
    value("Result", node.result), value("Inputs", node.inputs), value("Params", node.params),
    node.attempts.length ? attempts(node.attempts) : null,
    node.notices.length ? notices(node.notices) : null,
    node.usage ? value("Usage", { text: JSON.stringify(node.usage, null, 2) }) : null,
    node.console.length ? [h("h3", {}, "Console"), h("pre", {}, node.console.join("\n"))] : null,
    node.rows && open ? h("button", { onclick: () => showRows(panel, address, { rows: node.rows }, { id, streams, close, open, wanted }) }, "Rows") : null);
  if (node.ended === null) explain(why, id, node.address, (cause) => !(question && cause.code === "asks") && !cause.code.startsWith("notice-"));
}

/** Why a node is in its state: the causes that are `wanted`, those of notices and forms being shown elsewhere. */
export async function explain(element, id, address, wanted) {
  try {
    const told = await get(runPath(id, "explain", part(address)));
    fill(element, [told.cause, ...told.also].filter(wanted).map((cause, index) =>
      h("p", {}, index ? cause.finding : h("strong", {}, cause.finding), cause.since ? h("span", { class: "note" }, `, since ${clock(cause.since)}`) : null, cause.hint ? h("small", {}, cause.hint) : null)),
      told.chain.length ? h("p", { class: "note" }, `It waits for ${told.chain.join(" ← ")}`) : null);
  } catch {
    element.remove();
  }
}

function times(node) {
  const parts = [];
  if (node.ready !== null && node.started !== null && node.started > node.ready) parts.push(`waited ${duration(node.started - node.ready)}`);
  if (node.ready !== null && node.started === null && node.ended === null) parts.push(`ready since ${clock(node.ready)}`);
  if (node.started !== null) parts.push(`started ${clock(node.started)}`);
  if (node.started !== null && node.ended !== null) parts.push(`took ${duration(node.ended - node.started)}`);
  if (node.spent) parts.push(spent(node.spent));
  return parts.join(" · ");
}

const opened = new Map([["Result", true]]);

/** Whether a part of the panel is open: as it was when it was last seen, of whatever node. */
const folded = (title, open = false) =>
  ({ open: opened.get(title) ?? open, ontoggle: (event) => event.target.isConnected && opened.set(title, event.target.open) });

function value(title, shown) {
  if (!shown) return null;
  return h("details", folded(title), h("summary", {}, title), h("pre", { class: "value" }, shown.text),
    shown.cut ? h("p", { class: "note" }, `the first of ${shown.chars.toLocaleString("en")} characters`) : null);
}

function attempts(list) {
  const lines = list.map((item, index) => [
    h("tr", {}, h("td", { class: "fit" }, `${index + 1}${item.number > 1 ? ` (${item.number})` : ""}`), h("td", {}, item.worker ?? "–"), h("td", { class: "fit" }, clock(item.started)),
      h("td", { class: "fit" }, item.started !== null && item.ended !== null ? duration(item.ended - item.started) : item.due ? `again at ${clock(item.due)}` : "–")),
    item.failure ? h("tr", { class: "more" }, h("td", {}), h("td", { colspan: 3, class: "error" }, item.failure)) : null]);
  const heads = ["#", "worker", "started", "took"].map((text) => h("th", { scope: "col" }, text));
  const repeated = list.some((item) => item.number > 1);
  return h("details", folded("Attempts", list.length > 1 || repeated), h("summary", {}, `Attempts (${list.length})`), h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, lines.flat())),
    repeated ? h("p", { class: "note" }, "In brackets: how often the server has made this attempt.") : null);
}

/** The rows of the map at `address`: a page at a time, filtered by state, or one by its number. */
export async function showRows(panel, address, box, tools) {
  const held = panel.querySelector(".rows");
  const kept = held?.dataset.address === address ? JSON.parse(held.dataset.where) : { offset: 0, phase: box.rows?.failed ? "failed" : "" };
  if (held?.dataset.address === address && panel.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
  await page(panel, address, kept, tools);
}

async function page(panel, address, where, tools) {
  const query = new URLSearchParams({ offset: where.offset, limit: PAGE_ROWS, phase: where.phase });
  const found = await get(`${runPath(tools.id, "rows", part(address))}?${query}`);
  if (!tools.wanted()) return;
  const go = (change) => page(panel, address, { ...where, ...change }, tools);
  const state = h("select", { "aria-label": "State of the rows", onchange: (event) => go({ phase: event.target.value, offset: 0 }) },
    PHASES.map((name) => h("option", { value: name, selected: name === where.phase }, name || "all rows")));
  const jump = h("input", { type: "number", min: 0, placeholder: "row", "aria-label": "Row number", onchange: (event) => go({ phase: "", offset: Math.max(Number(event.target.value), 0) }) });
  const lines = found.rows.map((row) => h("tr", { dataset: { row: row.row } }, h("th", { scope: "row" }, row.row), h("td", {}, badge(row.phase)),
    h("td", {}, row.seconds === null ? "" : duration(row.seconds * 1000)),
    h("td", {}, row.nodes.map((node) => h("button", { class: "link", title: node.phase, onclick: () => tools.open(node.address) }, `${MARKS[node.phase] ?? "▶"} ${node.node}`)), row.failure ? h("small", {}, row.failure) : null)));
  const last = Math.max(found.total - PAGE_ROWS, 0);
  fill(panel, h("div", { class: "head" }, h("h2", {}, address), h("button", { onclick: tools.close, "aria-label": "Close" }, "×")),
    h("div", { class: "rows", dataset: { address, where: JSON.stringify(where) } }, h("p", {}, state, jump),
      found.total ? null : h("p", { class: "note" }, "No such rows."),
      h("table", {}, h("tbody", {}, lines)),
      h("p", {}, h("button", { disabled: where.offset === 0, onclick: () => go({ offset: Math.max(where.offset - PAGE_ROWS, 0) }) }, "Previous"),
        ` ${found.total ? where.offset + 1 : 0}–${where.offset + found.rows.length} of ${found.total.toLocaleString()} `,
        h("button", { disabled: where.offset >= last, onclick: () => go({ offset: where.offset + PAGE_ROWS }) }, "Next"),
        h("button", { onclick: () => tools.open(address) }, "The map itself"))));
}

const DELIVERED = { completed: "sent", "queued there": "waits for a worker", backoff: "repeated later", running: "being sent", abort: "not sent", failed: "not sent", lost: "worker lost" };

/** The notices of a question, by channel: what became of each. */
function notices(list) {
  const lines = list.map((item) => h("li", {}, h("span", { class: `badge ${look(item.phase)}` }, `${MARKS[item.phase]} ${DELIVERED[item.phase] ?? item.phase}`),
    ` ${item.notice} on ${item.channel}, ${item.due ? `again at ${clock(item.due)}` : clock(item.ended ?? item.at)}`,
    item.phase !== "completed" && item.failure ? h("small", {}, item.failure) : null));
  return h("details", folded("Notices", true), h("summary", {}, `Notices (${list.length})`), h("ul", { class: "notices" }, lines));
}
