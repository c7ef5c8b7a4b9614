// Routes of the page: #/ the list, #/inbox the questions, #/run/ID one run.

import { get, takeToken } from "./api.js";
import { fill, h } from "./dom.js";
import { showInbox } from "./inbox.js";
import { showList } from "./list.js";
import { showRun } from "./run.js";

const main = document.getElementById("main");
const crumb = document.getElementById("crumb");
let leave = () => {};

function route() {
  takeToken();
  leave();
  leave = () => {};
  const [, kind, id] = location.hash.split("/");
  const controller = new AbortController();
  leave = () => controller.abort();
  main.className = kind === "run" ? "run" : "";
  const name = kind === "run" ? decodeURIComponent(id ?? "") : "";
  fill(crumb, name ? h("h1", {}, `/ ${name}`) : null);
  document.title = name ? `${name} · Perdure` : "Perdure";
  const show = kind === "run" ? showRun : kind === "inbox" ? showInbox : showList;
  show(main, controller.signal, name).catch((error) => {
    if (!controller.signal.aborted) showError(main, error);
  });
}

/** An error with what to do. */
export function showError(element, error) {
  const hint = error.status === 401 ? "Open the link that perdure ui prints: it has the token." : error.hint ?? "";
  fill(element, h("div", { class: "page" }, h("div", { class: "error", role: "alert" }, h("strong", {}, error.message), h("p", {}, hint)),
    h("p", {}, h("a", { href: "#/" }, "All runs"))));
}

async function countQuestions() {
  const { questions } = await get("/pending").catch(() => ({ questions: [] }));
  document.getElementById("inbox").textContent = questions.length ? `Questions (${questions.length})` : "Questions";
}

window.addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true }); // so that the next Tab begins in what is new
});
route();
countQuestions();
