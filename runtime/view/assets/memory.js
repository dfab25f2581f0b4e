// Memory: L1 of a core by address and epoch, its fill over time, and DRAM.

function memoryPanel(panel) {
  panel.append(el("div", { id: "memory-l1" }), el("div", { id: "memory-fill" }), el("div", { id: "memory-dram" }));
  $("memory-dram").append(...dramLifetimes(), channelTable());
  views.push((changed) => {
    if (state.tab !== "memory") return;
    if (["tab", "selection", "epoch"].some((each) => changed.has(each))) { paintL1(); paintChannels(); }
    if (changed.has("window") || changed.has("tab") || changed.has("selection")) paintFillCursor();
  });
}

function buffersOf(core, epoch) {
  const stage = stageAt(core, epoch);
  if (stage === undefined) return [];
  return data.buffers[data.stages[stage].buffers[data.stages[stage].cores.indexOf(core)]];
}

function peakCore() {
  let best = data.machine.cores.length ? 0 : null, most = -1;
  data.stages.forEach((stage) => stage.cores.forEach((core, index) => {
    const size = data.buffersSize[stage.buffers[index]];
    if (size > most) { most = size; best = core; }
  }));
  return best;
}

let fillCore = null;
function paintL1() {
  const chosen = state.selection;
  let core = chosen && chosen.kind === "core" ? chosen.id : chosen && chosen.kind === "stage" ? data.stages[chosen.id].cores[0] : peakCore();
  const box = $("memory-l1"), epochs = data.epochs.length, machine = data.machine;
  const width = Math.max(220, Math.min(1200, epochs * 150)), height = 240, column = width / epochs, scale = height / machine.l1;
  const root = svg("svg", { viewBox: "0 0 " + width + " " + (height + 20), role: "img", style: "max-width:" + width + "px",
    "aria-label": "Buffers of core " + core + " by address, an epoch per column; listed in the table below" });
  root.append(svg("rect", { x: 0, y: 0, width, height, fill: "none", stroke: "var(--line)" }),
    svg("rect", { x: 0, y: height - machine.l1Base * scale, width, height: machine.l1Base * scale, fill: "var(--line)" }));
  for (let epoch = 0; epoch < epochs; epoch++) {
    const stage = stageAt(core, epoch);
    for (const [name, address, size, pages, shard] of buffersOf(core, epoch)) {
      const high = Math.max(1.5, size * scale), y = height - (address + size) * scale;
      root.append(svg("rect", { x: epoch * column + 2, y, width: column - 4, height: high, fill: stageColor(stage), stroke: shard ? "#111" : "#777" },
        svg("title", {}, name + ", " + bytes(size) + " at " + address + ", " + plural(pages, "page") + (shard ? ", kept for other cores" : ""))));
      if (high > 12 && column > 60) root.append(svg("text", { x: epoch * column + 6, y: y + 11, style: "fill:#111" }, name.slice(0, Math.floor(column / 7))));
    }
    if (column > 26) root.append(svg("text", { class: "soft", x: epoch * column + 4, y: height + 14 }, (column > 60 ? "epoch " : "") + epoch));
  }
  const rows = buffersOf(core, state.epoch).map(([name, address, size, pages, shard]) =>
    [name, count(address), count(size), count(pages), shard ? "kept to the end of the epoch" : "ring"]);
  const total = buffersOf(core, state.epoch).reduce((sum, each) => sum + each[2], 0);
  rows.push(["sum", "", count(total), "", percent(total / (machine.l1 - machine.l1Base)) + " of what programs may use"]);
  box.replaceChildren(el("h3", {}, "L1 of core " + core + ", " + bytes(machine.l1)), el("div", { class: "chart scroll" }, root),
    table("Buffers of core " + core + " in epoch " + state.epoch, ["buffer", "address", "bytes", "pages", "kind"], rows, { numeric: [1, 2, 3] }));
  if (fillCore !== core) { fillCore = core; paintFill(core); }
}

function paintFill(core) {
  const box = $("memory-fill");
  box.replaceChildren();
  if (!data.run || !data.run.time.recorded || !data.timeRow.has(core)) return;
  const time = data.run.time, width = 1000, height = 90, first = data.timeRow.get(core) * data.windows, span = data.run.makespan || 1;
  const values = Array.from({ length: data.windows }, (_, w) => data.series.fill[first + w] / 255), most = Math.max(...values, 1 / 255);
  let path = "";
  values.forEach((value, w) => {
    path += "M" + (time.starts[w] / span * width) + " " + height + "v" + (-height * value / most) + "h" + (time.lengths[w] / span * width) + "V" + height + "z";
  });
  box.append(el("h3", {}, "Pages waiting in the L1 of core " + core + ", at most " + percent(most) + " of L1"),
    el("div", { class: "chart", onclick: (event) => scrubTo(event, event.currentTarget) },
      svg("svg", { viewBox: "0 0 " + width + " " + height, preserveAspectRatio: "none", role: "img", "aria-label": "Fill of L1 over time" },
        svg("path", { d: path, fill: "var(--accent)" })), el("div", { class: "cursor", id: "fill-cursor", hidden: true })));
}

function paintFillCursor() {
  const cursor = $("fill-cursor");
  if (!cursor) return;
  cursor.hidden = state.window < 0;
  if (state.window >= 0) cursor.style.left = 100 * data.run.time.starts[state.window] / data.run.makespan + "%";
}

// Tensors in DRAM: across, the epochs in which their bytes are held; up, their place on each channel.
function dramLifetimes() {
  const held = data.tensors.map((tensor, id) => [tensor, id]).filter(([tensor]) => tensor.dram), epochs = data.epochs.length;
  const top = Math.max(1, ...held.map(([tensor]) => tensor.dram[0] + tensor.dram[1]));
  const width = Math.max(260, Math.min(1200, epochs * 150)), height = 220, column = width / epochs;
  const root = svg("svg", { viewBox: "0 0 " + width + " " + (height + 18), role: "group", style: "max-width:" + width + "px", "aria-label": "Tensors in DRAM by epoch and address" });
  root.append(svg("rect", { x: 0, y: 0, width, height, fill: "none", stroke: "var(--line)" }));
  for (const [tensor, id] of held) {
    const [base, size] = tensor.dram, [from, to] = tensor.epochs, high = Math.max(1, size / top * height);
    const y = height - (base + size) / top * height, x = from * column + 1, wide = (to - from + 1) * column - 2;
    const node = svg("g", { class: "node colored", role: "button", tabindex: 0, "data-tensor": id, "aria-label": tensor.name + ", " + bytes(tensor.bytes) },
      svg("rect", { x, y, width: wide, height: high, style: "fill:" + ROLE_COLORS[tensor.role] },
        svg("title", {}, tensor.name + ", " + tensor.role + " " + tensor.type + ", " + bytes(tensor.bytes))));
    if (high > 11 && wide > 30) node.append(svg("text", { x: x + 4, y: y + 11, style: "fill:#111" }, tensor.name.slice(0, Math.floor(wide / 7))));
    press(node, () => select("tensor", id));
    root.append(node);
  }
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (column > 26) root.append(svg("text", { class: "soft", x: epoch * column + 4, y: height + 14 }, (column > 60 ? "epoch " : "") + epoch));
  }
  return [el("h3", {}, "DRAM, " + bytes(top) + " on each of " + plural(data.machine.channels.length, "channel")),
    el("div", { class: "legend" }, Object.entries(ROLE_COLORS).filter(([role]) => held.some(([tensor]) => tensor.role === role)).map(([role, color]) => el("span", { class: "key" }, el("span", { class: "swatch", style: "background:" + color }), role))),
    el("div", { class: "chart scroll" }, root)];
}

const ROLE_COLORS = { input: "#a6cee3", weight: "#b2df8a", state: "#cab2d6", constant: "#ffed6f", output: "#fdbf6f", temporary: "#d9d9d9" };

function press(element, action) {
  element.addEventListener("click", (event) => { event.stopPropagation(); action(); });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); action(); }
  });
}

const channelTable = () => el("div", { id: "channels" });

function paintChannels() {
  if (!data.run) { $("channels").replaceChildren(); return; }
  const epoch = data.run.epochs[state.epoch];
  const rows = epoch.channels.map(([read, written, requests], id) => ({
    attributes: { tabindex: 0, "data-channel": id, class: isSelected("channel", id) ? "chosen" : null, onclick: () => select("channel", id),
      onkeydown: (event) => { if (event.key === "Enter") select("channel", id); } },
    cells: [String(id), count(read), count(written), count(requests), percent((read + written) / data.machine.channelRate / epoch.cycles)],
  }));
  $("channels").replaceChildren(table("DRAM channels in epoch " + state.epoch, ["channel", "bytes read", "bytes written", "requests", "busy at least"], rows, { numeric: [0, 1, 2, 3, 4] }));
}
