// What if: stages dragged to other cores. Hops and link loads follow at once; time needs a run.

// Which core's programs stand at each position, and positions where that cannot be.
function occupants() {
  const found = { at: new Map(), bad: new Set() }, machine = data.machine;
  data.stages.forEach((stage, id) => {
    if (stage.epoch !== state.epoch) return;
    for (const core of stage.cores) {
      const target = movedTo(id, machine.cores[core]);
      if (target === null || found.at.has(target)) found.bad.add(target === null ? machine.cores[core] : target);
      else found.at.set(target, core);
    }
  });
  return found;
}

// Moves count in columns and rows that have cores, so that a core grid stays whole.
function movedTo(stage, position) {
  const move = state.moves[stage];
  if (!move) return position;
  const [x, y] = place(position), column = data.columns.indexOf(x) + move[0], row = data.rows.indexOf(y) + move[1];
  if (data.columns[column] === undefined || data.rows[row] === undefined) return null;
  const target = at(data.columns[column], data.rows[row]);
  return data.coreAt.has(target) ? target : null;
}

function moveStage(stage, [dx, dy]) {
  const [x, y] = state.moves[stage] || [0, 0], moves = { ...state.moves, [stage]: [x + dx, y + dy] };
  if (x + dx === 0 && y + dy === 0) delete moves[stage];
  const fits = data.stages[stage].cores.every((core) => {
    const [cx, cy] = place(data.machine.cores[core]);
    return data.columns[data.columns.indexOf(cx) + x + dx] !== undefined && data.rows[data.rows.indexOf(cy) + y + dy] !== undefined;
  });
  if (fits) update({ moves });
}

function dragStart(event) {
  const chosen = cellOf(event);
  if (!state.moving || !chosen) return;
  const core = occupants().at.get(chosen.position), stage = core === undefined ? undefined : stageAt(core, state.epoch);
  if (stage === undefined) return;
  mesh.root.setPointerCapture(event.pointerId);
  mesh.drag = { stage, from: chosen.position, base: state.moves[stage] || [0, 0] };
  tip("");
}

function dragMove(event) {
  if (!mesh.drag) return;
  const { x, y } = point(event), near = (list, value) =>
    list.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(list[best] - value) ? i : best), 0);
  const [fx, fy] = place(mesh.drag.from);
  const dx = near(data.columns, (x - MARGIN - BOX / 2) / PITCH) - data.columns.indexOf(fx);
  const dy = near(data.rows, (y - MARGIN - BOX / 2) / PITCH) - data.rows.indexOf(fy);
  const now = state.moves[mesh.drag.stage] || [0, 0], wanted = [mesh.drag.base[0] + dx, mesh.drag.base[1] + dy];
  if (now[0] !== wanted[0] || now[1] !== wanted[1]) {
    mesh.dragged = true;
    moveStage(mesh.drag.stage, [wanted[0] - now[0], wanted[1] - now[1]]);
  }
}

function dragEnd() { mesh.drag = null; }

let whatIfKey = null, whatIfValue = null;
function whatIf() {
  const key = state.epoch + JSON.stringify(state.moves);
  if (key !== whatIfKey) {
    const targets = new Map();
    data.stages.forEach((stage, id) => {
      if (stage.epoch !== state.epoch) return;
      for (const core of stage.cores) targets.set(data.machine.cores[core], movedTo(id, data.machine.cores[core]) ?? data.machine.cores[core]);
    });
    whatIfKey = key;
    whatIfValue = {
      before: loadsOf(state.epoch, (position) => position),
      after: loadsOf(state.epoch, (position) => (targets.has(position) ? targets.get(position) : position)),
    };
  }
  return whatIfValue;
}

// Where the first core of a moved stage's grid (its upper left corner) goes.
function corner(stage) {
  const positions = data.stages[stage].cores.map((core) => movedTo(stage, data.machine.cores[core]));
  if (positions.includes(null)) return null;
  const xs = positions.map((position) => place(position)[0]), ys = positions.map((position) => place(position)[1]);
  return [Math.min(...xs), Math.min(...ys)];
}

function hints() {
  return Object.keys(state.moves).map(Number).map((stage) => {
    const where = corner(stage), span = data.stages[stage].spans[0];
    const line = span ? data.sources[span[0]].name + ":" + span[1] : "stage " + data.stages[stage].name;
    return [stage, where, line];
  });
}

// A hint is for all stages of its statement.
function others(stage) {
  const lines = new Set(data.stages[stage].spans.slice(0, 1).map(([source, line]) => source + ":" + line));
  const found = data.stages.filter((each, id) => id !== stage && each.spans.some(([source, line]) => lines.has(source + ":" + line)));
  return found.length ? "; the statement has " + found.map((each) => each.letter).join(", ") + " too" : "";
}

function difference(before, after, unit) {
  const change = before ? (after - before) / before : 0;
  const sign = change > 0 ? "+" : "";
  return count(before) + " → " + count(after) + " " + unit + " (" + sign + percent(change) + ")";
}

function paintWhatIf() {
  const box = $("whatif"), moved = Object.keys(state.moves).length;
  box.hidden = !state.moving;
  if (!state.moving) return;
  if (!moved) {
    box.replaceChildren(el("p", { class: "muted" }, "Drag a stage to other cores, or focus one of its cores and press Shift with an arrow key. " +
      "Hops and link loads follow at once; what it does to the time, a run will tell."));
    return;
  }
  const { before, after } = whatIf(), bad = occupants().bad.size;
  const found = hints();
  const text = found.map(([stage, where, line]) => where
    ? line + "  at core(" + where.join(", ") + ")   # stage " + data.stages[stage].letter + " " + data.stages[stage].name + others(stage)
    : "# stage " + data.stages[stage].name + " stands on a position without a core").join("\n");
  box.replaceChildren(...[
    el("h3", {}, "What if"),
    bad ? el("p", { class: "warn" }, "Two stages stand on one core, or one stands on none: this placement cannot be compiled.") : null,
    el("dl", {}, el("dt", {}, "bytes × links"), el("dd", { id: "whatif-work" }, difference(before.work, after.work, "")),
      el("dt", {}, "busiest link"), el("dd", { id: "whatif-link" }, difference(before.busiest, after.busiest, "flits"))),
    el("label", {}, "Hints that compile it so: put each at the end of its statement", el("textarea", { class: "hints", readonly: true, id: "hints" }, text)),
    el("button", { type: "button", onclick: () => update({ moves: {} }) }, "Put back"),
  ].filter(Boolean));
}
