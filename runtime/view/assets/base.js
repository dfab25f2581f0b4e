// Elements, numbers, colors: what every view uses.

const $ = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const count = (value) => Math.round(value).toLocaleString("en-US");
const percent = (share) => (100 * share).toFixed(1) + " %";
const plural = (n, what) => count(n) + " " + what + (n === 1 ? "" : "s");

function bytes(value) {
  let unit = 0;
  const units = ["B", "KiB", "MiB", "GiB"];
  while (value >= 1024 && unit < 3) { value /= 1024; unit += 1; }
  return (unit ? value.toFixed(1) : Math.round(value)) + " " + units[unit];
}

function decode(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function unpack(text) {
  const stream = new Blob([decode(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Stages: light colors that black letters stand out on, in both themes.
const STAGE_COLORS = [
  "#a6cee3", "#b2df8a", "#fdbf6f", "#cab2d6", "#fb9a99", "#ffed6f", "#8dd3c7", "#fccde5", "#bebada", "#80b1d3",
  "#ccebc5", "#d9d9d9",
];
// Reasons, in the order of the profile; after Okabe and Ito, told apart by most color-blind people.
const REASON_COLORS = {
  "busy": "#0072b2", "cb reserve": "#f0e442", "cb wait": "#e69f00", "semaphore": "#cc79a7", "await": "#009e73",
  "barrier": "#d55e00", "order": "#8c564b", "pipe": "#56b4e9", "idle": "#c3c8cf",
};
const REASON_TEXTS = {
  "busy": "at work", "cb reserve": "no room in a buffer", "cb wait": "no pages in a buffer",
  "semaphore": "another core's signal", "await": "pages of another core", "barrier": "own transfers to complete",
  "order": "an earlier packet", "pipe": "the data path", "idle": "program not begun or ended",
};

function blues(share) {
  const from = [238, 244, 251], to = [8, 69, 148];
  return "rgb(" + from.map((low, i) => Math.round(low + (to[i] - low) * share)).join(",") + ")";
}

const heat = (share) => (share <= 0 ? 0 : Math.min(9, 1 + Math.floor(share * 9)));

function table(caption, columns, rows, options = {}) {
  const head = el("tr", {}, columns.map((name, i) => el("th", { scope: "col", class: (options.numeric || []).includes(i) ? "n" : null }, name)));
  const body = rows.map((row) => el("tr", row.attributes || {},
    (row.cells || row).map((cell, i) => el("td", { class: (options.numeric || []).includes(i) ? "n" : null }, cell))));
  return el("div", { class: "wide" }, el("table", { class: options.class },
    el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, body)));
}

function tip(text, event) {
  const box = $("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
  box.style.left = Math.max(4, left) + "px";
  box.style.top = Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8) + "px";
}
