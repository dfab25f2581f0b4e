// Time: the run as a whole, every thread of every core, and the critical path.

const ROW = 18;
const gantt = { canvas: null, names: null, cursor: null, overviewCursor: null, critical: true };

function timePanel(panel) {
  if (!data.run) {
    panel.append(el("p", {}, "This is an image without a run. `meshc run FILE --profile run.json` records one; `meshc view run.json` shows it."));
    return;
  }
  const time = data.run.time;
  panel.append(el("h3", {}, "What all threads do, over time"), overview());
  if (!time.recorded) panel.append(el("p", { class: "muted" }, "The run was not recorded: each epoch is shown by its means."));
  const toggle = el("input", { type: "checkbox", checked: true, onchange: (event) => { gantt.critical = event.target.checked; paintGantt(); } });
  panel.append(el("h3", {}, "Threads of each core: read, write, compute"), reasonLegend(),
    data.run.critical.length ? el("label", { class: "bar" }, toggle, " critical path") : null, ganttChart(),
    el("div", { id: "thread-table" }), data.run.critical.length ? criticalTable() : null);
  views.push((changed) => {
    if (state.tab !== "time") return;
    if (changed.has("tab")) requestAnimationFrame(paintGantt);
    if (changed.has("selection") || changed.has("epoch") || changed.has("tab")) { paintNames(); threadTable(); }
    if (changed.has("window") || changed.has("tab") || changed.has("epoch")) paintCursor();
  });
}

function reasonLegend() {
  return el("div", { class: "legend" }, data.run.reasons.map((reason) => el("span", { class: "key" },
    el("span", { class: "swatch", style: "background:" + REASON_COLORS[reason] }), reason + " (" + REASON_TEXTS[reason] + ")")));
}

// Stacked areas; a window's height is its threads' cycles, so epochs with fewer cores are lower.
function overview() {
  const time = data.run.time, windows = data.windows, width = 1000, height = 120, reasons = data.run.reasons;
  const span = data.run.makespan || 1, sums = [];
  for (let w = 0; w < windows; w++) {
    const total = reasons.map((_, r) => [0, 1, 2].reduce((sum, thread) => sum + time.totals[thread * windows + w][r], 0));
    sums.push(total.map((value) => value / (time.lengths[w] * 3 * time.cores.length)));
  }
  const root = svg("svg", { viewBox: "0 0 " + width + " " + (height + 16), role: "img", preserveAspectRatio: "none",
    "aria-label": "Share of all threads by what they do, over time; the table below has the numbers" });
  const order = reasons.map((_, r) => r).filter((r) => reasons[r] !== "idle");
  const base = new Array(windows).fill(0);
  for (const r of order) {
    let path = "";
    sums.forEach((each, w) => {
      if (!each[r]) return;
      const x = time.starts[w] / span * width, wide = time.lengths[w] / span * width;
      path += "M" + x.toFixed(1) + " " + (height * (1 - base[w])).toFixed(1) + "h" + wide.toFixed(2) + "v" + (-height * each[r]).toFixed(1) + "h" + (-wide).toFixed(2) + "z";
      base[w] += each[r];
    });
    if (path) root.append(svg("path", { d: path, fill: REASON_COLORS[reasons[r]] }));
  }
  gantt.overviewCursor = el("div", { class: "cursor", hidden: true });
  const chart = el("div", { class: "chart", onclick: (event) => scrubTo(event, chart) }, root, gantt.overviewCursor);
  return chart;
}

function windowAt(cycle) {
  const starts = data.run.time.starts;
  let low = 0, high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= cycle) low = middle; else high = middle - 1;
  }
  return low;
}

function scrubTo(event, box) {
  const frame = box.getBoundingClientRect();
  update({ window: windowAt((event.clientX - frame.left) / frame.width * data.run.makespan) });
}

function ganttChart() {
  gantt.canvas = el("canvas", { role: "img", "aria-label": "What each thread does over time; choose a core to read its cycles in the table" });
  gantt.names = el("div", { class: "names" }, data.run.time.cores.map((core) =>
    el("button", { type: "button", "data-core": core, onclick: () => select("core", core) }, "core " + core)));
  gantt.cursor = el("div", { class: "cursor", hidden: true });
  const chart = el("div", { class: "chart" }, gantt.canvas, gantt.cursor);
  chart.addEventListener("click", (event) => {
    scrubTo(event, chart);
    const row = Math.floor((event.clientY - gantt.canvas.getBoundingClientRect().top) / ROW);
    if (data.run.time.cores[row] !== undefined) select("core", data.run.time.cores[row]);
  });
  chart.addEventListener("pointermove", (event) => ganttHover(event, chart));
  chart.addEventListener("pointerleave", () => tip(""));
  new ResizeObserver(() => { if (state.tab === "time") paintGantt(); }).observe(chart);
  return el("div", { class: "gantt", tabindex: 0, role: "region", "aria-label": "Threads over time, scrollable" }, el("div", { class: "rows" }, gantt.names, chart));
}

function ganttHover(event, chart) {
  const frame = chart.getBoundingClientRect(), time = data.run.time;
  const w = windowAt((event.clientX - frame.left) / frame.width * data.run.makespan);
  const y = event.clientY - frame.top, row = Math.floor(y / ROW), thread = Math.min(2, Math.floor((y % ROW) / 5.4));
  if (time.cores[row] === undefined) return;
  const value = data.series.threads[(row * 3 + thread) * data.windows + w], reason = data.run.reasons[value >> 4];
  tip("core " + time.cores[row] + " " + data.run.threadNames[thread] + ": mostly " + reason + " (" + REASON_TEXTS[reason] +
    ")\ncycles " + count(time.starts[w]) + " to " + count(time.starts[w] + time.lengths[w]), event);
}

function paintGantt() {
  const canvas = gantt.canvas, time = data.run.time, rows = time.cores.length, ratio = devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth, height = rows * ROW;
  if (!width) return;
  canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
  const pen = canvas.getContext("2d"), span = data.run.makespan || 1;
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, width, height);
  const colors = data.run.reasons.map((reason) => REASON_COLORS[reason]), x = (cycle) => cycle / span * width;
  for (let row = 0; row < rows; row++) {
    for (let thread = 0; thread < 3; thread++) {
      const first = (row * 3 + thread) * data.windows;
      for (let w = 0, from = 0; w <= data.windows; w++) {
        const value = w < data.windows ? data.series.threads[first + w] >> 4 : -1;
        if (w < data.windows && value === data.series.threads[first + from] >> 4 && time.epochs[w] === time.epochs[from]) continue;
        const end = time.starts[w - 1] + time.lengths[w - 1];
        pen.fillStyle = colors[data.series.threads[first + from] >> 4];
        if (data.run.reasons[data.series.threads[first + from] >> 4] !== "idle") {
          pen.fillRect(x(time.starts[from]), row * ROW + thread * 5.4 + 1, Math.max(.7, x(end) - x(time.starts[from])), 4.6);
        }
        from = w;
      }
    }
  }
  if (gantt.critical) paintCritical(pen, x);
  paintCursor();
}

function paintCritical(pen, x) {
  const row = new Map(data.run.time.cores.map((core, index) => [core, index]));
  const y = (thread) => row.get(Math.floor(thread / 3)) * ROW + (thread % 3) * 5.4 + 3.3;
  for (const [color, width] of [[getComputedStyle(document.body).color, 3.4], ["#ff2fd0", 1.8]]) {
    pen.strokeStyle = color; pen.lineWidth = width; pen.beginPath();
    let last = null;
    for (const [begin, end, , thread] of data.run.critical) {
      if (last === null || last.end !== begin) pen.moveTo(x(begin), y(thread)); else pen.lineTo(x(begin), y(thread));
      pen.lineTo(x(end), y(thread));
      last = { end };
    }
    pen.stroke();
  }
}

function paintCursor() {
  const time = data.run.time, shown = state.window >= 0;
  for (const cursor of [gantt.cursor, gantt.overviewCursor]) {
    cursor.hidden = !shown;
    if (shown) cursor.style.left = 100 * (time.starts[state.window] + time.lengths[state.window] / 2) / data.run.makespan + "%";
  }
}

function paintNames() {
  const seen = relatedNow();
  for (const button of gantt.names.children) {
    const core = Number(button.dataset.core);
    button.className = isSelected("core", core) ? "chosen" : seen.cores.has(core) ? "related" : "";
  }
}

// Exact cycles, from the profile: of the chosen core, or of all cores together.
function threadTable() {
  const epoch = data.run.epochs[state.epoch], reasons = data.run.reasons;
  const core = state.selection && state.selection.kind === "core" ? state.selection.id : null;
  const rows = data.run.threadNames.map((name, thread) => {
    const sums = reasons.map((_, r) => epoch.threads.filter((each) => each[1] === thread && (core === null || each[0] === core))
      .reduce((sum, each) => sum + each[2 + r], 0));
    return { attributes: { "data-thread": name }, cells: [name, ...sums.map(count), count(sums.reduce((a, b) => a + b, 0))] };
  });
  const whose = core === null ? "all cores" : "core " + core;
  $("thread-table").replaceChildren(table("Cycles of " + whose + " in epoch " + state.epoch + " (" + count(epoch.cycles) + " cycles long)",
    ["thread", ...reasons, "sum"], rows, { numeric: reasons.map((_, r) => r + 1).concat(reasons.length + 1) }));
}

function criticalTable() {
  const sums = new Map();
  for (const [begin, end, piece, thread, , tensor] of data.run.critical) {
    const epoch = epochOfCycle(begin), stage = data.stageOfCore[epoch].get(Math.floor(thread / 3));
    const what = piece === "work" ? data.run.threadNames[thread % 3] + " at work"
      : (piece === "dram" ? "DRAM" : "network") + (tensor >= 0 ? ": " + data.tensors[tensor].name : "");
    const key = stage + "|" + what;
    sums.set(key, (sums.get(key) || 0) + end - begin);
  }
  const total = [...sums.values()].reduce((a, b) => a + b, 0) || 1;
  const rows = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 14).map(([key, cycles]) => {
    const [stage, what] = key.split("|");
    return [el("button", { type: "button", class: "link", onclick: () => selectStage(Number(stage)) },
      data.stages[stage].letter + " " + data.stages[stage].name), what, count(cycles), percent(cycles / total)];
  });
  return table("Critical path: what the length of the run hangs on", ["stage", "spent on", "cycles", "share"], rows, { numeric: [2, 3] });
}

function epochOfCycle(cycle) {
  let epoch = 0;
  data.run.epochs.forEach((each, index) => { if (each.start <= cycle) epoch = index; });
  return epoch;
}
