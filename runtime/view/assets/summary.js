// Summary: how long, how far from the bound, what holds it up, and what would help.

function summaryPanel(panel) {
  const run = data.run;
  if (!run) {
    panel.append(el("dl", {}, facts()), el("p", { class: "muted" }, "This is an image without a run; `meshc run FILE --profile run.json` records one."), stageTable());
    return;
  }
  panel.append(el("dl", {}, facts()));
  if (run.explanation) panel.append(...explanation(run.explanation));
  panel.append(el("h3", {}, "Roofline"), roofline(),
    table("Busy, the busiest of each kind", ["resource", "share", ""], run.resources.map(([name, share]) =>
      [name, percent(share), el("span", { class: "share", style: "width:" + 160 * share + "px" })]), { numeric: [1] }),
    table("What threads wait for, mean per core", ["thread", "waits for", "cycles", "of makespan"], run.stalls.slice(0, 10).map(([thread, reason, cycles, share]) =>
      [thread, reason + " (" + REASON_TEXTS[reason] + ")", count(cycles), percent(share)]), { numeric: [2, 3] }), stageTable());
}

function facts() {
  const run = data.run, pair = (name, value, id) => [el("dt", {}, name), el("dd", { id }, value)];
  const used = new Set(data.stages.flatMap((stage) => stage.cores)).size;
  const found = [pair("machine", data.machine.name + ": " + data.machine.description)];
  if (run) {
    const works = data.bound.map(([name, cycles]) => name + " " + count(cycles)).join(", ");
    found.push(pair("makespan", count(run.makespan) + " cycles, " + run.microseconds.toFixed(1) + " µs", "fact-makespan"),
      pair("lower bound", count(run.bound) + " cycles, set by " + run.boundResource + " (" + works + ")", "fact-bound"),
      pair("makespan over bound", run.ratio.toFixed(2), "fact-ratio"),
      pair("compute", percent(run.utilization) + " of all math units over the makespan", "fact-compute"),
      pair("DRAM", bytes(run.dramRead) + " read, " + bytes(run.dramWritten) + " written", "fact-dram"),
      pair("NoC", bytes(run.nocBytes) + " over all links", "fact-noc"));
  }
  found.push(pair("cores", used + " of " + data.machine.cores.length + " used, " + plural(data.stages.length, "stage") + " in " + plural(data.epochs.length, "epoch"), "fact-cores"));
  return found;
}

function stageTable() {
  const rows = data.stages.map((stage, id) => ({
    attributes: { tabindex: 0, "data-stage": id, onclick: () => selectStage(id), onkeydown: (event) => { if (event.key === "Enter") selectStage(id); } },
    cells: [el("span", { class: "swatch", style: "background:" + stageColor(id) }), stage.letter + " " + stage.name, String(stage.epoch), String(stage.cores.length), bytes(stage.l1), stage.work[0] || ""],
  }));
  return table("Stages", ["", "stage", "epoch", "cores", "L1 per core", "computes"], rows, { numeric: [2, 3, 4] });
}

// Attainable math cycles per cycle against how much math there is per byte of DRAM.
function roofline() {
  const run = data.run, bound = Object.fromEntries(data.bound), width = 420, height = 190, left = 46, bottom = 30;
  const compute = bound.compute || 0, dram = bound.dram || 0;
  if (!compute || !dram) return el("p", { class: "muted" }, "One of the bounds is zero; there is no roof to draw.");
  const here = compute / dram, reached = compute / run.makespan;
  const low = Math.min(-1, Math.floor(Math.log10(here) - .3)), high = Math.max(1, Math.ceil(Math.log10(here) + .3));
  const floor = Math.min(-2, Math.floor(Math.log10(reached)));
  const x = (value) => left + (Math.log10(value) - low) / (high - low) * (width - left - 10);
  const y = (value) => 10 + (Math.log10(value) - 0) / (floor - 0) * (height - bottom - 10);
  const clipped = Math.pow(10, Math.max(low, floor));
  const root = svg("svg", { viewBox: "0 0 " + width + " " + height, role: "img", style: "max-width:560px",
    "aria-label": "Roofline: the program reaches " + percent(reached) + " of peak; its roof is " + percent(Math.min(1, here)) },
  svg("path", { d: "M" + left + " " + (height - bottom) + "H" + width + "M" + left + " 10V" + (height - bottom), stroke: "var(--soft)", fill: "none" }),
  svg("path", { d: "M" + x(clipped) + " " + y(clipped) + "L" + x(1) + " " + y(1) + "H" + (width - 10), stroke: "var(--accent)", "stroke-width": 2.5, fill: "none" }),
  svg("path", { d: "M" + x(here) + " " + y(Math.min(1, here)) + "V" + y(reached), stroke: "var(--warn)", "stroke-dasharray": "3 3" }),
  svg("circle", { cx: x(here), cy: y(reached), r: 5, fill: "var(--warn)" }),
  svg("text", { x: Math.min(x(here) + 9, width - 150), y: y(reached) + 4 }, percent(reached) + " of peak math"),
  svg("text", { class: "soft", x: left + 4, y: height - 8 }, "math cycles per DRAM cycle of the program: " + here.toPrecision(3)),
  svg("text", { class: "soft", x: 2, y: 14 }, "100 %"), svg("text", { class: "soft", x: 2, y: height - bottom }, Math.pow(10, floor + 2).toPrecision(1) + " %"));
  return el("div", { class: "chart" }, root);
}

function explanation(found) {
  const stageButton = (id, text) => el("button", { type: "button", class: "link", onclick: () => selectStage(id) }, text);
  const told = (step) => {
    if (step.stage < 0) return step.text;
    const name = data.stages[step.stage].letter + " " + data.stages[step.stage].name, [before, ...after] = step.text.split(name);
    return [before, stageButton(step.stage, name), after.join(name)];
  };
  const walk = el("ol", { class: "walk" }, found.walk.map((step) => el("li", {}, told(step))));
  const cards = found.suggestions.map((each) => el("div", { class: "suggestion" }, el("strong", {}, each.title),
    el("div", {}, each.detail), el("div", { class: "good" }, "predicted: " + each.prediction)));
  return [el("h3", {}, "Who waits for whom"), walk, ...(cards.length ? [el("h3", {}, "What would help"), cards] : [])].flat();
}
