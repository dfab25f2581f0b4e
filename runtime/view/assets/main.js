// Put the page together.

const panels = { summary: ["Summary", summaryPanel], time: ["Time", timePanel], memory: ["Memory", memoryPanel], graph: ["Graph", graphPanel], source: ["Source", sourcePanel] };

// Look-ups that the document leaves out.
function prepare() {
  const machine = data.machine;
  for (const epoch of data.epochs) for (const route of epoch.routes) route[3] = data.paths[route[3]];
  data.positions = machine.columns * machine.rows;
  data.coreAt = new Map(machine.cores.map((position, core) => [position, core]));
  data.columns = [...new Set(machine.cores.map((position) => place(position)[0]))].sort((a, b) => a - b);
  data.rows = [...new Set(machine.cores.map((position) => place(position)[1]))].sort((a, b) => a - b);
  data.linkNumber = new Map(data.links.map(([noc, src, dst], id) => [linkKey(noc, src, dst), id]));
  data.stageOfCore = data.epochs.map(() => new Map());
  data.letterIndex = [];
  const seen = new Map();
  data.stages.forEach((stage, id) => {
    stage.cores.forEach((core) => data.stageOfCore[stage.epoch].set(core, id));
    data.letterIndex.push(seen.get(stage.epoch) || 0);
    seen.set(stage.epoch, (seen.get(stage.epoch) || 0) + 1);
  });
  data.buffersSize = data.buffers.map((list) => list.reduce((sum, each) => sum + each[2], 0));
  data.busiest = data.epochs.map((epoch) => Math.max(0, ...epoch.load));
  if (!data.run) return;
  const time = data.run.time;
  data.windows = time.starts.length;
  data.timeRow = new Map(time.cores.map((core, row) => [core, row]));
  data.series = { threads: decode(time.threads), links: decode(time.links), channels: decode(time.channels), fill: decode(time.fill) };
  data.threadRow = data.run.epochs.map((epoch) => new Map(epoch.threads.map(([core, thread, ...cycles]) => [3 * core + thread, cycles])));
}

function buildTabs() {
  for (const [name, [title, build]] of Object.entries(panels)) {
    $("tabs").append(el("button", { type: "button", role: "tab", id: "tab-" + name, "aria-controls": "panel-" + name, onclick: () => update({ tab: name }), onkeydown: tabKey }, title));
    const panel = el("div", { role: "tabpanel", id: "panel-" + name, "aria-labelledby": "tab-" + name, tabindex: 0, hidden: true });
    $("panels").append(panel);
    build(panel);
  }
}

function tabKey(event) {
  const names = Object.keys(panels), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = names[(names.indexOf(state.tab) + step + names.length) % names.length];
  update({ tab: next });
  $("tab-" + next).focus();
}

function paintTabs() {
  for (const name of Object.keys(panels)) {
    const shown = name === state.tab;
    $("panel-" + name).hidden = !shown;
    $("tab-" + name).setAttribute("aria-selected", shown);
    $("tab-" + name).setAttribute("tabindex", shown ? 0 : -1);
  }
}

function buildClock() {
  $("epoch").max = data.epochs.length - 1;
  $("epoch-label").hidden = $("epoch-text").hidden = data.epochs.length < 2;
  $("side").parentElement.hidden = data.epochs.length < 2;
  $("epoch").addEventListener("input", (event) => update({ epoch: Number(event.target.value), moves: {} }));
  for (const each of ["play", "scrub-label", "scrub-text"]) $(each).hidden = !data.run;
  $("clock").hidden = !data.run && data.epochs.length < 2;
  if (!data.run) return;
  $("scrub").min = -1;
  $("scrub").max = data.windows - 1;
  $("scrub").addEventListener("input", (event) => update({ window: Number(event.target.value) }));
  $("play").addEventListener("click", togglePlay);
}

let playing = 0;
function togglePlay() {
  playing = playing ? (clearInterval(playing), 0) : setInterval(() => update({ window: (state.window + 1) % data.windows }), 60);
  $("play").textContent = playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", Boolean(playing));
}

function paintClock() {
  $("epoch").value = state.epoch;
  $("epoch-text").textContent = state.epoch + " of 0 to " + (data.epochs.length - 1);
  if (!data.run) return;
  $("scrub").value = state.window;
  const time = data.run.time, w = state.window;
  const text = w < 0 ? "whole epoch, " + count(data.run.epochs[state.epoch].cycles) + " cycles"
    : "cycles " + count(time.starts[w]) + " to " + count(time.starts[w] + time.lengths[w]) + " of " + count(data.run.makespan);
  $("scrub-text").textContent = text;
  $("scrub").setAttribute("aria-valuetext", text);
}

function paintLegend() {
  const key = (color, text) => el("span", { class: "key" }, el("span", { class: "swatch", style: "background:" + color }), text);
  const found = [];
  if (state.color === "stage" || !data.run && state.color !== "l1") {
    data.stages.forEach((stage, id) => { if (stage.epoch === state.epoch) found.push(el("button", { type: "button", class: "link key", onclick: () => select("stage", id) }, key(stageColor(id), stage.letter + " " + stage.name))); });
  } else if (state.color === "stall") found.push(data.run.reasons.map((reason) => key(REASON_COLORS[reason], REASON_TEXTS[reason])));
  else found.push([0, .25, .5, .75, 1].map((share) => key(blues(share), percent(share))));
  if (state.links === "load") found.push(el("span", {}, data.run ? "links: busy " : "links: of the busiest "), [0, 2, 4, 6, 9].map((h) => key("var(--h" + h + ")", ["0", "22 %", "44 %", "67 %", "100 %"][[0, 2, 4, 6, 9].indexOf(h)])));
  $("legend").replaceChildren(...found.flat());
}

function paintVcs() {
  const used = new Set();
  for (const [, , , flat] of data.epochs[state.epoch].routes) for (let i = 2; i < flat.length; i += 3) used.add(flat[i]);
  $("vc").replaceChildren(el("option", { value: -1 }, "all"), ...[...used].sort((a, b) => a - b).map((vc) => el("option", { value: vc }, String(vc))));
  $("vc").value = used.has(state.vc) ? state.vc : -1;
}

// All epochs side by side: small, still, a click goes there.
function paintSides() {
  const box = $("mesh"), shown = state.epoch, moment = state.window;
  box.className = state.side ? "small" : "scroll";
  if (!state.side) { box.replaceChildren(mesh.root); return; }
  state.window = -1;
  const figures = data.epochs.map((_, epoch) => {
    state.epoch = epoch;
    forgetRelated();
    paintCells(); paintLinks(); paintRoutes();
    const copy = mesh.root.cloneNode(true);
    copy.setAttribute("aria-label", "Mesh in epoch " + epoch);
    copy.querySelectorAll("[tabindex]").forEach((each) => { each.removeAttribute("tabindex"); each.removeAttribute("role"); });
    const text = "epoch " + epoch + (data.run ? ", " + count(data.run.epochs[epoch].cycles) + " cycles" : "");
    const figure = el("figure", { role: "button", tabindex: 0, "aria-label": text }, copy, el("figcaption", {}, text));
    press(figure, () => { $("side").checked = false; update({ side: false, epoch }); });
    return figure;
  });
  state.epoch = shown;
  state.window = moment;
  forgetRelated();
  box.replaceChildren(...figures);
}

function paintMesh(changed) {
  if (state.side) { if (["side", "color", "links", "noc", "selection"].some((each) => changed.has(each))) paintSides(); return; }
  if (changed.has("side")) paintSides();
  paintCells();
  paintLinks();
  if (["selection", "epoch", "noc", "vc", "routes", "moves", "side"].some((each) => changed.has(each))) paintRoutes();
  if (["moving", "moves", "epoch"].some((each) => changed.has(each))) paintWhatIf();
}

function buildControls() {
  const choice = (id, convert) => $(id).addEventListener("change", (event) => update({ [id]: convert(event.target.value) }));
  for (const id of ["color", "links", "routes"]) choice(id, String);
  for (const id of ["noc", "vc"]) choice(id, Number);
  $("side").addEventListener("change", (event) => update({ side: event.target.checked }));
  $("moving").addEventListener("change", (event) => update({ moving: event.target.checked, moves: {} }));
  $("clear").addEventListener("click", () => select(null));
  $("theme").addEventListener("click", () => {
    const dark = $("theme").getAttribute("aria-pressed") !== "true";
    $("theme").setAttribute("aria-pressed", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    if (state.tab === "time" && data.run) paintGantt();
  });
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  $("theme").setAttribute("aria-pressed", dark);
  if (!data.run) for (const option of $("color").querySelectorAll("[value=busy],[value=stall]")) option.remove();
  addEventListener("keydown", (event) => {
    if (event.target !== document.body) return;
    if (event.key === " " && data.run) { event.preventDefault(); togglePlay(); }
    if (event.key === "Escape") select(null);
  });
  addEventListener("hashchange", recall);
}

async function start() {
  data = await unpack($("data").textContent);
  prepare();
  document.title = data.program + " on " + data.machine.name;
  $("title").textContent = document.title;
  $("subtitle").textContent = data.run ? count(data.run.makespan) + " cycles, " + data.run.ratio.toFixed(2) + " × the lower bound" : "an image, not yet run";
  $("sentence").textContent = data.run ? (data.run.explanation ? data.run.explanation.sentence : "Busiest: " + data.run.bottleneck + ", " + percent(data.run.bottleneckShare) + " of the time") : "";
  buildMesh();
  buildControls();
  buildClock();
  views.push((changed) => { if (changed.has("tab")) paintTabs(); });
  buildTabs();
  views.push(paintMesh);
  views.push((changed) => { if (["epoch", "window"].some((each) => changed.has(each))) paintClock(); });
  views.push((changed) => { if (["epoch", "color", "links", "side"].some((each) => changed.has(each))) paintLegend(); });
  views.push((changed) => { if (changed.has("epoch")) paintVcs(); });
  views.push((changed) => { if (["selection", "epoch"].some((each) => changed.has(each)) || (changed.has("window") && state.selection && state.selection.kind === "link")) detailsPanel(); });
  const everything = new Set(Object.keys(state));
  for (const view of views) view(everything);
  recall();
  document.body.dataset.ready = "yes";
  if (location.hash.startsWith("#selftest")) await selftest();
}

start().catch((error) => {
  document.body.prepend(el("p", { class: "warn", role: "alert" }, "This report could not be shown: " + error.message + " (it needs a browser of 2024 or later)"));
  throw error;
});
