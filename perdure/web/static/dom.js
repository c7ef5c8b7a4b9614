// Elements without HTML text: whatever a run contains can only ever become text, and all of it can be seen.

const SVG = "http://www.w3.org/2000/svg";
const SVG_NAMES = new Set(["svg", "g", "rect", "text", "path", "title"]);

const ACTING = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text in which nothing hides and nothing changes the order of the rest: such characters become escapes. */
export const visible = (text) =>
  text.replace(ACTING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** An element: `h("a", {href, onclick, class, dataset}, ...children)`. Children are nodes, strings, or nothing. */
export function h(name, props = {}, ...children) {
  const element = SVG_NAMES.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(element.dataset, value);
    else if (key === "style") for (const [rule, text] of Object.entries(value)) element.style.setProperty(rule, text);
    else if (key === "value" || key === "href") element.setAttribute(key, String(value));
    else element.setAttribute(key, value === true ? "" : visible(String(value)));
  }
  element.append(...nodes(children, name === "textarea" ? String : visible)); // what is edited stays as it is
  return element;
}

/** Puts these children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

const nodes = (children, text = visible) =>
  children.flat().filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : text(String(child))));

/** What `url` names, if a browser may go there: http and https only. */
function safeLink(url) {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed.href : null;
  } catch {
    return null;
  }
}

// With limits: without them, a message of brackets would take the square of its length.
const INLINE = /\*\*([^*\n]{1,500})\*\*|`([^`\n]{1,500})`|\[([^\]\n]{1,200})\]\(([^)\s]{1,2000})\)/g;
const MAX_MARK_COUNT = 200;

function inline(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(from, match.index));
    if (match[1]) parts.push(h("strong", {}, match[1]));
    else if (match[2]) parts.push(h("code", {}, match[2]));
    else {
      const href = safeLink(match[4]);
      parts.push(href ? h("a", { href, title: href, rel: "noreferrer noopener", target: "_blank" }, match[3]) : match[0]);
    }
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** The subset of Markdown that questions may use: paragraphs, lists, bold, code, links. What has too many is text. */
export function markdown(text) {
  const count = text.split("\n").length + [...text.matchAll(INLINE)].length;
  if (count > MAX_MARK_COUNT) return [h("p", { class: "lines" }, text)];
  return text.split(/\n{2,}/).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => /^[-*] /.test(line)))
      return h("ul", {}, lines.map((line) => h("li", {}, inline(line.slice(2)))));
    return h("p", { class: "lines" }, inline(block));
  });
}

/** An error in one line: what is wrong, and in brackets what to do. */
export const said = ({ message, finding, hint }) => `${finding ?? message}${hint ? ` (${hint})` : ""}`;

/** "0.4 s", "3 min 20 s", "2 h 5 min". */
export function duration(ms) {
  const seconds = Math.max(ms, 0) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** "4,300 tokens, 0.0134"; nothing of what is zero. */
export function spent({ tokens, money } = {}) {
  const amount = money ? (money >= 1 ? money.toFixed(2) : money.toPrecision(3)) : null;
  return [tokens ? `${tokens.toLocaleString("en")} tokens` : null, amount].filter(Boolean).join(", ");
}

export const MARKS = {
  waiting: "·", "queued here": "…", "queued there": "…", running: "▶", backoff: "↻", asks: "?", paused: "⏸",
  lost: "!", completed: "✓", "fell-back": "↩", injected: "✓", skipped: "–", failed: "✗", "timed-out": "✗", abort: "■", canceled: "■", terminated: "■",
};

/** The class of a phase or of a run's state. */
export const look = (phase) => `state-${phase.replaceAll(" ", "-")}`;

/** The mark and the name of a phase. */
export const badge = (phase) => h("span", { class: `badge ${look(phase)}` }, `${MARKS[phase] ?? "▶"} ${phase}`);
