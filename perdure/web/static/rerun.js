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

/** What people should know before they start it. */
function remarks({ changed_agents, effects, problem }) {
  return [
    changed_agents.length ? `The code of ${changed_agents.join(", ")} has changed since; results are reused all the same.` : "",
    effects.length ? `May have effects, and may be called: ${effects.join(", ")}.` : "",
    problem ? `It stops with: ${problem}` : "",
  ].filter(Boolean).map((text) => h("p", { class: "note" }, text));
}

/** Asks for a node to begin at, shows the plan, and starts the rerun when that is wished. */
export function rerunDialog(id, chosen, started) {
  const from = h("input", { name: "from", value: chosen ?? "", placeholder: "what has no result yet", "aria-label": "Call this node again" });
  const body = () => ({ from: from.value.trim() ? [from.value.trim()] : [] });
  const isShown = (asked) => asked === from.value;  // nothing starts but what was shown
  from.oninput = () => { start.disabled = true; };
  from.onkeydown = (event) => { if (event.key === "Enter") show(); };
  const shown = h("div", { class: "plan" });
  const start = h("button", { class: "primary", disabled: true, onclick: () => attempt(async () => {
    const run = await post(runPath(id, "rerun"), body());
    dialog.close();
    started(run.id);
  }) }, "Start the rerun");
  const show = () => attempt(async () => {
    const asked = from.value;
    const plan = await post(runPath(id, "rerun"), { ...body(), dryRun: true });
    const more = plan.is_complete ? "" : ", and what follows from these";
    fill(shown, h("p", {}, `${plan.reused} ${plan.reused === 1 ? "call" : "calls"} reused, ${plan.runs} to run${more}`), table(plan), remarks(plan));
    start.disabled = !isShown(asked);
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
