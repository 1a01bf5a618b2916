// Elements of the page, made without HTML text: what others wrote (names, records) only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a child is text, an element, or nothing. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return furnish(element, attributes, children);
}

/** The same, of a drawing. */
function draw(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replaces the children of an element; the focus stays with the one that had it, by position. */
function fill(element, ...children) {
  const focusable = () => [...element.querySelectorAll("a, button, input, select, [tabindex]")];
  const focused = element.contains(document.activeElement) ? focusable().indexOf(document.activeElement) : -1;
  element.replaceChildren();
  append(element, children);
  if (focused >= 0) focusable()[focused]?.focus({ preventScroll: true });
}

/** A slot whose contents are made anew only when what they are made of has changed. */
function slot(element, build) {
  let before;
  return (data) => {
    const now = JSON.stringify(data);
    if (now === before) return;
    before = now;
    fill(element, build(data));
  };
}

/** A link inside the page. Each part is encoded. */
function link(to, ...children) {
  return make("a", { href: to }, ...children);
}

/** The address of a view: its name, the parts of its path, and its parameters without the empty ones. */
function address(view, parts = [], parameters = {}) {
  const path = [view, ...parts].map(encodeURIComponent).join("/");
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  return `#/${path}${query ? `?${query}` : ""}`;
}

function pill(kind, text) {
  return make("span", { class: `pill ${kind}` }, text);
}

function field(label, control, kind = "") {
  return make("label", { class: `field ${kind}` }, label, control);
}

function options(pairs, chosen) {
  return pairs.map(([value, label]) => make("option", { value, selected: value === chosen }, label));
}

/** Calls once nothing was typed for a moment. */
function settled(call, milliseconds = 250) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), milliseconds);
  };
}
