// How the picture is moved: dragged, scrolled, and made larger or smaller by wheel, buttons and keys.

import { h } from "./dom.js";

const DRAG_START_PX = 4;
const WHEEL_STEP = 0.0015;

/** The window onto a picture, with its buttons; `drawing()` is the one that it shows now. */
export function camera(stage, drawing) {
  drag(stage);
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // without a key it scrolls
    event.preventDefault();
    const place = stage.getBoundingClientRect();
    drawing()?.stretch(Math.exp(-event.deltaY * WHEEL_STEP), { x: event.clientX - place.left, y: event.clientY - place.top });
  }, { passive: false });
  const button = (label, text, act) => h("button", { "aria-label": label, title: label, onclick: act }, text);
  return h("div", { class: "drawing" }, stage, h("div", { class: "zoom", role: "group", "aria-label": "Size of the graph" },
    button("Larger", "+", () => drawing()?.zoom(1.25)), button("Smaller", "−", () => drawing()?.zoom(0.8)), button("Fit to the window", "⤢", () => drawing()?.fit())));
}

/** Moves what is scrolled with the pointer; a press that does not move stays a click. */
function drag(stage) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse" && !event.target.closest("input")) from = { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop, moved: false };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const x = event.clientX - from.x, y = event.clientY - from.y;
    if (!from.moved && Math.hypot(x, y) < DRAG_START_PX) return;
    if (!from.moved) stage.setPointerCapture(event.pointerId);
    from.moved = true;
    stage.classList.add("panning");
    stage.scrollTo(from.left - x, from.top - y);
  });
  const end = () => {
    if (from?.moved) stage.addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
    stage.classList.remove("panning");
    from = null;
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
}
