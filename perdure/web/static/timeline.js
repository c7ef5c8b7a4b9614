// When each node ran: bars, the critical path, and idle gaps cut out of the axis.

import { get, runPath } from "./api.js";
import { duration, fill, h, look } from "./dom.js";

const IDLE_SHARE = 0.1;
const GAP_WIDTH = 1.5;
const LINE_HEIGHT = 20;

export async function showTimeline(element, id, open) {
  const told = await get(runPath(id, "timeline"));
  if (!told.bars.length) return fill(element, h("p", { class: "note" }, "No node has begun."));
  const axis = axisOf(told);
  const lines = told.bars.map((bar, index) => {
    const end = bar.ended ?? told.now;
    const from = axis.at(bar.started);
    const width = Math.max(axis.at(end) - from, 0.3);
    const label = `${bar.address} ${duration(end - bar.started)}`;
    const waits = bar.ready !== null && bar.ready < bar.started ? h("rect", { class: "wait", x: `${axis.at(bar.ready)}%`, y: index * LINE_HEIGHT + 8, width: `${from - axis.at(bar.ready)}%`, height: 4 }) : null;
    return h("g", { class: `${look(bar.phase)}${bar.critical ? " critical" : ""}`, tabindex: 0, role: "button", "aria-label": `${label}, ${bar.phase}`, onclick: () => open(bar.address),
      onkeydown: (event) => event.key === "Enter" && open(bar.address) },
      h("title", {}, `${label}\n${bar.agent ?? ""}`), waits, h("rect", { x: `${from}%`, y: index * LINE_HEIGHT + 3, width: `${width}%`, height: LINE_HEIGHT - 6, rx: 3 }),
      h("text", { x: from > 60 ? `${from - 0.5}%` : `${from + width + 0.5}%`, y: index * LINE_HEIGHT + 14, "text-anchor": from > 60 ? "end" : "start" }, label));
  });
  const gaps = axis.gaps.map((gap) => h("g", { class: "gap" }, h("rect", { x: `${gap.x}%`, y: 0, width: `${GAP_WIDTH}%`, height: told.bars.length * LINE_HEIGHT }, h("title", {}, `${duration(gap.ms)} in which nothing ran`))));
  fill(element, h("p", { class: "note" }, "The outlined bars are the critical path.", axis.gaps.length ? " Striped: time in which nothing ran, cut out." : "", told.hidden ? ` ${told.hidden} shorter ones are not shown.` : ""),
    h("svg", { class: "timeline", width: "100%", height: told.bars.length * LINE_HEIGHT, role: "group", "aria-label": "Timeline" }, gaps, lines));
}

/** Percent of the width for a time; gaps longer than a tenth of the whole take GAP_WIDTH. */
function axisOf({ started, now, bars }) {
  const spans = bars.map((bar) => [bar.started, bar.ended ?? now]).sort((one, other) => one[0] - other[0]);
  const busy = [];
  for (const [from, to] of spans) {
    const last = busy.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else busy.push([from, to]);
  }
  const first = Math.min(started ?? busy[0][0], busy[0][0]);
  const whole = Math.max(now, busy.at(-1)[1]) - first || 1;
  const cuts = [];
  for (let index = 1; index < busy.length; index++) {
    const [from, to] = [busy[index - 1][1], busy[index][0]];
    if ((to - from) / whole > IDLE_SHARE) cuts.push([from, to]);
  }
  const cut = cuts.reduce((sum, [from, to]) => sum + to - from, 0);
  const scale = (98 - cuts.length * GAP_WIDTH) / Math.max(whole - cut, 1);
  const at = (time) => {
    let x = (time - first) * scale;
    for (const [from, to] of cuts) if (time > from) x -= (Math.min(time, to) - from) * scale - (Math.min(time, to) - from) / (to - from) * GAP_WIDTH;
    return x;
  };
  return { at, gaps: cuts.map(([from, to]) => ({ x: at(from), ms: to - from })) };
}
