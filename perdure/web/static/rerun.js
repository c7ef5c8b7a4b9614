// The dialog that repeats a run: it shows what would be called before anything starts.

import { post, runPath } from "./api.js";
import { duration, fill, h, said, spent } from "./dom.js";

const COLUMNS = ["node", "agent", "reused", "runs", "last time", "why"];

const cost = (each) => [each.seconds ? duration(each.seconds * 1000) : null, spent(each)].filter(Boolean).join(", ");

function table(plan) {
  const row = (each) => [each.address, each.agent, each.reused || "", `${each.runs || ""}${each.is_unknown ? "?" : ""}`, cost(each), each.why];
  return h("table", {}, h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", {}, name)))),
    h("tbody", {}, plan.rows.map((each) => h("tr", {}, row(each).map((text) => h("td", {}, String(text)))))));
}

/** Asks for a node to begin at, shows the plan, and starts the rerun when that is wished. */
export function rerunDialog(id, chosen, started) {
  const from = h("input", { name: "from", value: chosen ?? "", placeholder: "what has no result yet", "aria-label": "Call this node again" });
  const body = () => ({ from: from.value.trim() ? [from.value.trim()] : [] });
  const shown = h("div", { class: "plan" });
  const start = h("button", { class: "primary", disabled: true, onclick: () => attempt(async () => {
    const run = await post(runPath(id, "rerun"), body());
    dialog.close();
    started(run.id);
  }) }, "Start the rerun");
  const show = () => attempt(async () => {
    const plan = await post(runPath(id, "rerun"), { ...body(), dryRun: true });
    const more = plan.is_complete ? "" : ", and what follows from these";
    fill(shown, h("p", {}, `${plan.reused} ${plan.reused === 1 ? "call" : "calls"} reused, ${plan.runs} to run${more}`), table(plan));
    start.disabled = false;
  });
  async function attempt(action) {
    start.disabled = true;
    try {
      await action();
    } catch (error) {
      fill(shown, h("p", { class: "error", role: "alert" }, said(error)));
    }
  }
  const dialog = h("dialog", { class: "rerun", onclose: () => dialog.remove() }, h("h2", {}, `Rerun ${id}`),
    h("div", { class: "row" }, h("label", {}, "Call again ", from), h("button", { onclick: show }, "Show what would run")), shown,
    h("div", { class: "row" }, start, h("button", { onclick: () => dialog.close() }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
  show();
}
