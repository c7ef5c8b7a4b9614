// The dialog that compares two runs call by call, and shows the results of a call side by side.

import { get, runPath } from "./api.js";
import { duration, fill, h, said, spent } from "./dom.js";

/** The run that this one repeats, by its number; of one without, its first rerun. */
const otherOf = (id) => (/~\d+$/.test(id) ? [id.replace(/~\d+$/, ""), id] : [id, `${id}~2`]);

const sums = (found, side) => [duration(found.seconds[side] * 1000), spent({ tokens: found.tokens[side], money: found.money[side] })].filter(Boolean).join(", ");

function counted({ counts: { equal = 0, ...others }, reused }) {
  const different = Object.values(others).reduce((sum, count) => sum + count, 0);
  return `${equal} ${equal === 1 ? "call is" : "calls are"} equal, ${reused} of them reused; ${different} ${different === 1 ? "differs" : "differ"}`;
}

async function result(id, address) {
  if (!address) return h("p", { class: "note" }, "There is no such call.");
  const node = await get(runPath(id, "nodes", encodeURIComponent(address)));
  return h("pre", { class: "value" }, node.result?.text ?? node.failure ?? "");
}

/** Asks for both runs, and shows what is different. */
export function compareDialog(id) {
  const [before, after] = otherOf(id);
  const first = h("input", { name: "first", value: before, "aria-label": "First run" });
  const second = h("input", { name: "second", value: after, "aria-label": "Second run" });
  const shown = h("div", { class: "plan" });
  const sides = h("div", { class: "sides" });
  async function attempt(action) {
    try {
      await action();
    } catch (error) {
      fill(sides);
      fill(shown, h("p", { class: "error", role: "alert" }, said(error)));
    }
  }
  const open = (found, call) => attempt(async () => {
    const texts = await Promise.all([result(found.first, call.kind === "second" ? "" : call.partner || call.position), result(found.second, call.kind === "first" ? "" : call.position)]);
    fill(sides, [found.first, found.second].map((name, side) => h("section", {}, h("h3", {}, name), texts[side])));
  });
  const show = () => attempt(async () => {
    const found = await get(runPath(first.value.trim(), "diff", encodeURIComponent(second.value.trim())));
    const row = (call) => h("tr", {}, h("td", {}, h("button", { class: "link", onclick: () => open(found, call) }, call.position)),
      h("td", {}, call.text), h("td", {}, call.at));
    const heads = ["call", "difference", "from"].map((name) => h("th", { scope: "col" }, name));
    fill(sides);
    fill(shown, h("p", {}, counted(found)), h("p", { class: "note" }, `first: ${sums(found, 0)}; second: ${sums(found, 1)}`),
      found.calls.length ? h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, found.calls.map(row))) : null,
      found.left_out ? h("p", { class: "note" }, `and ${found.left_out} more`) : null);
  });
  const dialog = h("dialog", { class: "rerun compare", onclose: () => dialog.remove() }, h("h2", {}, "Compare runs"),
    h("div", { class: "row" }, h("label", {}, "First ", first), h("label", {}, "Second ", second), h("button", { onclick: show }, "Compare")), shown, sides,
    h("div", { class: "row" }, h("button", { onclick: () => dialog.close() }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
  show();
}
