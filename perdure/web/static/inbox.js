// All questions that wait for a person, and the form that answers one.

import { get, post, runPath } from "./api.js";
import { fill, h, markdown, said } from "./dom.js";

export async function showInbox(main, signal) {
  const list = h("div");
  fill(main, h("div", { class: "page" }, h("h1", {}, "Questions"), list));
  const load = async () => {
    const { questions } = await get("/pending");
    if (signal.aborted) return;
    if (!questions.length) return fill(list, h("p", { class: "note" }, "Nothing waits for an answer."));
    fill(list, questions.map((question) => h("section", { class: "card" },
      h("h2", {}, h("a", { href: `#/run/${encodeURIComponent(question.run)}` }, question.run), ` ${question.path}`),
      questionForm(question.run, question, load))));
  };
  await load();
}

const NAME_KEY = "perdure-name";

/** The form of a question; `done` is called when an answer was taken. */
export function questionForm(run, question, done) {
  const note = h("p", { class: "note", role: "status" });
  const fields = fieldsOf(question);
  const send = h("button", { type: "submit" }, "Send");
  const name = h("input", { name: "who", value: localStorage.getItem(NAME_KEY) ?? "", autocomplete: "name" });
  const submit = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const form = h("form", { class: "question", dataset: { path: question.path }, onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    note.textContent = "";
    localStorage.setItem(NAME_KEY, name.value);
    try {
      const sent = await post(runPath(run, "answers"), { path: question.path, value: fields.value(), who: name.value, id: submit });
      note.textContent = sent.kept ? "Kept: it is counted as soon as a worker is there." : "Answered.";
      done();
    } catch (error) {
      note.textContent = said(error);
      send.disabled = false;
    }
  } }, h("div", { class: "message" }, markdown(question.message)), question.who?.length ? h("p", { class: "note" }, `asks ${question.who.join(", ")}`) : null,
    question.answers?.length ? h("p", { class: "note" }, `answered by ${question.answers.map((answer) => answer.who).join(", ")}; ${question.quorum.need} are needed`) : null,
    fields.elements, h("label", {}, h("span", {}, "Your name"), name), send, note);
  return form;
}

function fieldsOf(question) {
  const schema = question.schema;
  if (!schema?.properties) {
    const input = h("textarea", { rows: 2, required: question.required, "aria-label": "Your answer", name: "answer" });
    return { elements: [input], value: () => input.value };
  }
  const readers = {};
  const elements = Object.entries(schema.properties).map(([name, field]) => {
    const required = (schema.required ?? []).includes(name);
    const [input, read] = inputOf(name, field, required, question.prefill?.[name] ?? field.default);
    readers[name] = read;
    if (field.type === "boolean") return h("label", { class: "tick" }, input, h("span", {}, field.title ?? name), field.description ? h("small", {}, field.description) : null);
    if (input.tagName === "FIELDSET") return input;
    return h("label", {}, h("span", {}, `${field.title ?? name}${required ? " *" : ""}`), input,
      field.description ? h("small", {}, field.description) : null);
  });
  return { elements, value: () => Object.fromEntries(
    Object.entries(readers).map(([name, read]) => [name, read()]).filter(([, value]) => value !== undefined)) };
}

const FORMATS = { date: "date", email: "email", uri: "url", "date-time": "datetime-local" };

function inputOf(name, field, required, value) {
  if (field.enum) {
    const options = field.enum.map((choice, index) =>
      h("option", { value: index, selected: choice === value }, typeof choice === "string" ? choice : JSON.stringify(choice)));
    const select = h("select", { name, required }, h("option", { value: "" }, ""), options);
    return [select, () => (select.value === "" ? undefined : field.enum[Number(select.value)])];
  }
  if (field.type === "boolean") {
    const box = h("input", { type: "checkbox", name, checked: value === true });
    return [box, () => box.checked];
  }
  if (field.type === "number" || field.type === "integer") {
    const step = field.type === "integer" ? 1 : "any";
    const input = h("input", { type: "number", name, required, step, min: field.minimum, max: field.maximum, value });
    return [input, () => (input.value === "" ? undefined : Number(input.value))];
  }
  if (field.type === "string") {
    const type = FORMATS[field.format];
    const limits = { name, required, minlength: field.minLength, maxlength: field.maxLength };
    const input = type ? h("input", { type, value, ...limits }) : h("textarea", { rows: 2, ...limits }, value ?? "");
    return [input, () => (input.value === "" && !required ? undefined : input.value)];
  }
  if (field.items?.enum) {
    const ticks = field.items.enum.map((choice) => [choice, h("input", { type: "checkbox", name, checked: value?.includes?.(choice) })]);
    const set = h("fieldset", {}, h("legend", {}, `${field.title ?? name}${required ? " *" : ""}`),
      ticks.map(([choice, tick]) => h("label", { class: "tick" }, tick, h("span", {}, typeof choice === "string" ? choice : JSON.stringify(choice)))),
      field.description ? h("small", {}, field.description) : null);
    const chosen = () => ticks.filter(([, tick]) => tick.checked).map(([choice]) => choice);
    return [set, () => (chosen().length || required ? chosen() : undefined)];
  }
  const box = h("textarea", { rows: 4, name, required, placeholder: "JSON" }, value === undefined ? "" : JSON.stringify(value, null, 2));
  return [box, () => (box.value === "" ? undefined : JSON.parse(box.value))];
}
