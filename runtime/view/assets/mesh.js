// The mesh: positions, links, routes; selection by pointer and keys; moving stages.

const PITCH = 64, BOX = 38, MARGIN = 34;
const center = (position) => place(position).map((each) => MARGIN + BOX / 2 + each * PITCH);
const mesh = { cells: [], links: [], routes: null, ends: null, drag: null, cursor: 0 };

function lane(noc, dx, dy) {
  if (data.machine.nocs[noc].torus) return noc ? 5 : -5;
  return (noc ? 4.5 : -9.5) + (dx + dy > 0 ? 0 : 5);
}

// Direction of a hop; around the edge of a torus it is against the difference of the positions.
function direction(src, dst) {
  const [x, y] = place(src), [x1, y1] = place(dst);
  const dx = x1 - x, dy = y1 - y, wrap = Math.abs(dx) + Math.abs(dy) > 1;
  return [wrap ? -Math.sign(dx) : Math.sign(dx), wrap ? -Math.sign(dy) : Math.sign(dy), wrap];
}

function linkPath([noc, src, dst]) {
  const [dx, dy, wrap] = direction(src, dst), off = lane(noc, dx, dy), edge = BOX / 2 + 1, gap = PITCH - BOX - 2;
  const shift = ([x, y]) => [x + Math.abs(dy) * off, y + Math.abs(dx) * off];
  const [ax, ay] = shift(center(src)), [bx, by] = shift(center(dst));
  const start = [ax + dx * edge, ay + dy * edge], end = [bx - dx * edge, by - dy * edge];
  const tip = (x, y) => "M" + (x - dx * 4 - dy * 3) + " " + (y - dy * 4 - dx * 3) + "L" + x + " " + y +
    "L" + (x - dx * 4 + dy * 3) + " " + (y - dy * 4 + dx * 3);
  if (!wrap) return "M" + start + "L" + end + tip(...end);
  const out = [start[0] + dx * gap * .7, start[1] + dy * gap * .7], from = [end[0] - dx * gap * .7, end[1] - dy * gap * .7];
  return "M" + start + "L" + out + tip(...out) + "M" + from + "L" + end;
}

const SITE_NAMES = { T: "core", x: "harvested core", D: "DRAM", E: "Ethernet", ".": "router only" };
const SITE_CLASSES = { T: "core", x: "harvested", D: "dram", E: "ethernet", ".": "router" };

function cell(position) {
  const [x, y] = place(position), site = data.machine.sites[y][x], [cx, cy] = center(position);
  const group = svg("g", { class: "cell " + SITE_CLASSES[site], "data-position": position, tabindex: -1, role: "button" });
  group.append(svg("rect", { class: "box", x: cx - BOX / 2, y: cy - BOX / 2, width: BOX, height: BOX, rx: 5 }));
  const text = svg("text", { x: cx, y: cy + 3, class: site === "E" ? "small" : null });
  const label = { x: "×", D: "D" + data.machine.channels.indexOf(position), E: "eth", ".": "·" }[site] || "";
  text.textContent = site === "D" && data.machine.channels.indexOf(position) < 0 ? "D" : label;
  group.append(text);
  const bars = site !== "T" ? [] : [0, 1, 2].map((k) =>
    svg("rect", { x: cx - BOX / 2 + 4 + k * 10.5, y: cy + BOX / 2 - 8, width: 9, height: 5, visibility: "hidden" }));
  group.append(...bars);
  return { position, site, group, text, bars, box: group.firstChild, shown: {}, core: data.coreAt.get(position) };
}

function meshSize() {
  return [2 * MARGIN + (data.machine.columns - 1) * PITCH + BOX, 2 * MARGIN + (data.machine.rows - 1) * PITCH + BOX];
}

function buildMesh() {
  const [width, height] = meshSize();
  const root = svg("svg", { viewBox: "0 0 " + width + " " + height, role: "group",
    "aria-label": "Mesh of " + data.machine.columns + " by " + data.machine.rows + " positions; arrow keys move" });
  mesh.links = data.links.map((link) => svg("path", { class: "link h0", d: linkPath(link) }));
  mesh.linkHeat = data.links.map(() => 0);
  mesh.routes = svg("g", { class: "routes" });
  mesh.cells = Array.from({ length: data.positions }, (_, position) => cell(position));
  root.append(svg("g", {}, mesh.links), svg("g", {}, mesh.cells.map((each) => each.group)), mesh.routes);
  root.addEventListener("click", meshClick);
  root.addEventListener("keydown", meshKey);
  root.addEventListener("focusin", (event) => { if (event.target.dataset.position) focusCell(Number(event.target.dataset.position), false); });
  root.addEventListener("pointermove", meshHover);
  root.addEventListener("pointerleave", () => tip(""));
  root.addEventListener("pointerdown", dragStart);
  root.addEventListener("pointermove", dragMove);
  root.addEventListener("pointerup", dragEnd);
  mesh.root = root;
  const first = mesh.cells.find((each) => each.core !== undefined) || mesh.cells[0];
  mesh.cursor = first.position;
  first.group.setAttribute("tabindex", 0);
}

function point(event) {
  const inverse = mesh.root.getScreenCTM().inverse();
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
}

function cellOf(event) {
  const under = event.target.closest(".cell") ? event.target : document.elementFromPoint(event.clientX, event.clientY);
  const group = under && under.closest(".cell"); // a captured pointer's events are for the whole mesh
  return group ? mesh.cells[Number(group.dataset.position)] : null;
}

// The link nearest to a point between the boxes, if any is near.
function linkNear({ x, y }) {
  let best = null, least = 7;
  data.links.forEach(([noc, src, dst], index) => {
    if (state.noc >= 0 && noc !== state.noc) return;
    const [dx, dy, wrap] = direction(src, dst), off = lane(noc, dx, dy), [cx, cy] = center(src), [ex, ey] = center(dst);
    const along = (px, py) => (x - px) * dx + (y - py) * dy;
    const across = Math.abs((x - cx - Math.abs(dy) * off) * dy + (y - cy - Math.abs(dx) * off) * dx);
    const near = (along(cx, cy) > BOX / 2 - 2 && along(cx, cy) < PITCH - BOX / 2 + 2) ||
      (wrap && along(ex, ey) < 2 - BOX / 2 && along(ex, ey) > BOX / 2 - PITCH - 2);
    if (near && across < least) { least = across; best = index; }
  });
  return best;
}

function meshClick(event) {
  if (mesh.dragged) { mesh.dragged = false; return; }
  const chosen = cellOf(event);
  if (chosen) { chooseCell(chosen); return; }
  const link = linkNear(point(event));
  if (link !== null && state.links !== "off") select("link", link); else select(null);
}

function chooseCell(chosen) {
  focusCell(chosen.position, false);
  if (chosen.core !== undefined) select("core", chosen.core);
  else if (chosen.site === "D" && data.machine.channels.includes(chosen.position)) {
    select("channel", data.machine.channels.indexOf(chosen.position));
  } else select(null);
}

function focusCell(position, move) {
  mesh.cells[mesh.cursor].group.setAttribute("tabindex", -1);
  mesh.cursor = position;
  mesh.cells[position].group.setAttribute("tabindex", 0);
  if (move) mesh.cells[position].group.focus();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function meshKey(event) {
  const arrow = ARROWS[event.key];
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    chooseCell(mesh.cells[mesh.cursor]);
  } else if (event.key === "Escape") select(null);
  else if (arrow && event.shiftKey && state.moving) {
    event.preventDefault();
    const stage = stageAt(mesh.cells[mesh.cursor].core, state.epoch);
    if (stage !== undefined) moveStage(stage, arrow);
  } else if (arrow) {
    event.preventDefault();
    const [x, y] = place(mesh.cursor);
    const nx = Math.min(data.machine.columns - 1, Math.max(0, x + arrow[0]));
    const ny = Math.min(data.machine.rows - 1, Math.max(0, y + arrow[1]));
    focusCell(at(nx, ny), true);
  }
}

function cellText(each) {
  const [x, y] = place(each.position), where = "(" + x + ", " + y + ")";
  if (each.site === "D") {
    const channel = data.machine.channels.indexOf(each.position);
    return "DRAM" + (channel < 0 ? "" : " channel " + channel) + " at " + where;
  }
  if (each.core === undefined) return SITE_NAMES[each.site] + " at " + where;
  const stage = stageAt(each.core, state.epoch), name = "core " + each.core + " at " + where;
  if (stage === undefined) return name + ", unused in this epoch";
  return name + ", stage " + data.stages[stage].letter + " " + data.stages[stage].name + ", " + coreFigure(each.core).text;
}

function meshHover(event) {
  if (mesh.drag) return;
  const chosen = cellOf(event);
  if (chosen) { tip(cellText(chosen), event); return; }
  const link = state.links === "off" ? null : linkNear(point(event));
  tip(link === null ? "" : linkName(link) + "\n" + linkFigure(link).text, event);
}

function linkName(id) {
  const [noc, src, dst] = data.links[id];
  return "NoC " + noc + " link (" + place(src).join(", ") + ") to (" + place(dst).join(", ") + ")";
}

// The load of a link at the time shown: a share for the color, and words.
function linkFigure(id) {
  const run = data.run;
  if (run && state.window >= 0) {
    const share = data.series.links[id * data.windows + state.window] / 255;
    return { share, text: "busy " + percent(share) + " of this window" };
  }
  if (run) {
    const epoch = run.epochs[state.epoch], flits = epoch.load[id];
    return { share: flits / epoch.cycles, text: count(flits) + " flits, busy " + percent(flits / epoch.cycles) + " of the epoch" };
  }
  const flits = data.epochs[state.epoch].load[id], most = data.busiest[state.epoch];
  return { share: most ? flits / most : 0, text: count(flits) + " flits, " + percent(most ? flits / most : 0) + " of the busiest link's" };
}

function threadCycles(core, thread) {
  return data.run && data.threadRow[state.epoch].get(3 * core + thread);
}

// What a core does at the time shown, as its color mode asks for.
function coreFigure(core) {
  const stage = stageAt(core, state.epoch), compute = 2, run = data.run;
  if (stage === undefined) return { color: null, text: "unused in this epoch" };
  const index = data.stages[stage].cores.indexOf(core);
  const allocated = data.buffersSize[data.stages[stage].buffers[index]];
  if (state.color === "l1") {
    const recorded = run && run.time.recorded && state.window >= 0, space = data.machine.l1 - data.machine.l1Base;
    const share = recorded ? data.series.fill[data.timeRow.get(core) * data.windows + state.window] / 255 : allocated / space;
    const what = recorded ? percent(share) + " of L1 holds pages that wait" : bytes(allocated) + " of L1 in buffers, " + percent(share);
    return { color: blues(share), dark: share > .45, text: what };
  }
  if (state.color === "stage" || !run) return { color: stageColor(stage), text: bytes(allocated) + " of L1 in buffers" };
  const [reason, share] = threadState(core, compute);
  if (state.color === "busy") return { color: blues(share), dark: share > .45, text: "compute busy " + percent(share) };
  return { color: REASON_COLORS[reason], dark: ["busy", "barrier", "order", "await"].includes(reason), text: "compute: mostly " + REASON_TEXTS[reason] };
}

// The reason with most cycles, and the busy share, of a thread in the window or the epoch shown.
function threadState(core, thread) {
  const reasons = data.run.reasons;
  if (state.window >= 0) {
    const row = data.timeRow.get(core);
    if (row === undefined) return ["idle", 0];
    const value = data.series.threads[(row * 3 + thread) * data.windows + state.window];
    return [reasons[value >> 4], (value & 15) / 15];
  }
  const cycles = threadCycles(core, thread);
  if (!cycles) return ["idle", 0];
  const total = data.run.epochs[state.epoch].cycles, most = cycles.indexOf(Math.max(...cycles));
  return [reasons[most], (cycles[0] + cycles[reasons.indexOf("pipe")]) / total];
}

function setOnce(each, name, value) {
  if (each.shown[name] === value) return;
  each.shown[name] = value;
  if (name === "fill") each.box.style.fill = value; else each.group.setAttribute(name, value);
}

function paintCells() {
  const seen = relatedNow(), chosen = state.selection, occupied = occupants();
  for (const each of mesh.cells) {
    const names = ["cell", SITE_CLASSES[each.site]], core = occupied.at.get(each.position);
    if (each.site === "T") {
      const figure = core === undefined ? { color: null } : coreFigure(core);
      const letter = core === undefined ? "" : data.stages[stageAt(core, state.epoch)].letter;
      if (each.shown.letter !== letter) { each.shown.letter = letter; each.text.textContent = letter; }
      setOnce(each, "fill", figure.color || "");
      if (figure.color) names.push(figure.dark ? "on-dark" : "on-color");
      if (core !== undefined && seen.cores.has(core)) names.push("related");
      else if (chosen && core !== undefined && seen.cores.size) names.push("faded");
      if (chosen && chosen.kind === "core" && chosen.id === core) names.push("chosen");
      if (occupied.bad.has(each.position)) names.push("bad");
      paintBars(each, core);
    } else if (chosen && chosen.kind === "channel" && data.machine.channels[chosen.id] === each.position) names.push("chosen");
    setOnce(each, "class", names.join(" "));
    if (state.window < 0 || !each.shown["aria-label"]) setOnce(each, "aria-label", cellText(each));
  }
}

function paintBars(each, core) {
  const shown = data.run && core !== undefined && state.window >= 0;
  each.bars.forEach((bar, thread) => {
    const color = shown ? REASON_COLORS[threadState(core, thread)[0]] : "";
    if (each.shown[thread] === color) return;
    each.shown[thread] = color;
    bar.setAttribute("visibility", shown ? "visible" : "hidden");
    bar.style.fill = color;
  });
}

function paintLinks() {
  const moved = Object.keys(state.moves).length ? whatIf().after.loads : null;
  const before = moved && Math.max(whatIf().before.busiest, 1);
  mesh.links.forEach((path, id) => {
    const link = data.links[id];
    const hidden = state.links === "off" || (state.noc >= 0 && link[0] !== state.noc);
    const share = moved ? (moved.get(linkKey(...link)) || 0) / before : linkFigure(id).share;
    const name = hidden ? "none" : isSelected("link", id) ? "chosen" : "h" + heat(Math.min(1, share));
    if (mesh.linkHeat[id] === name) return;
    mesh.linkHeat[id] = name;
    path.setAttribute("class", "link " + name);
    path.style.display = hidden ? "none" : "";
  });
}

// One path per NoC and color: a thousand routes are a handful of elements.
function paintRoutes() {
  mesh.routes.replaceChildren();
  if (state.routes === "off" || Object.keys(state.moves).length) return;
  const all = state.routes === "all", paths = new Map(), ends = new Map();
  streamsNow().forEach((stream, index) => {
    if (!all && (!state.selection || !relatedNow().streams.has(index))) return;
    for (const [route] of eachRoute(stream, state.epoch)) {
      if ((state.noc >= 0 && route[0] !== state.noc) || !wantedRoute(route)) continue;
      const key = route[0] + ":" + (all ? stream.stage : "");
      if (!paths.has(key)) { paths.set(key, []); ends.set(key, new Set()); }
      paths.get(key).push(routePath(route));
      for (const end of Array.isArray(route[2]) ? route[2] : [route[2]]) ends.get(key).add(end);
    }
  });
  for (const [key, parts] of paths) {
    const [noc, stage] = key.split(":"), name = "noc" + noc + (all ? " many" : "");
    mesh.routes.append(svg("path", { class: "route " + name, d: parts.join(""), style: stage ? "stroke:" + stageColor(Number(stage)) : null }));
    if (!all) for (const end of ends.get(key)) {
      const [x, y] = center(end), off = lane(Number(noc), 1, 0);
      mesh.routes.append(svg("circle", { class: "route-end noc" + noc, cx: x + off, cy: y + off, r: 3 }));
    }
  }
}

// A core's selection shows the routes that end or begin there; a link's those that cross it.
function wantedRoute(route) {
  const chosen = state.selection;
  if (state.routes === "all" || !chosen) return true;
  if (chosen.kind === "core") return touches(route, data.machine.cores[chosen.id]);
  if (chosen.kind === "channel") return touches(route, data.machine.channels[chosen.id]);
  return chosen.kind !== "link" || linksOf(route).includes(chosen.id);
}

function routePath(route) {
  const [noc, , , flat] = route, off = lane(noc, 1, 0);
  let path = "";
  for (let i = 0; i < flat.length; i += 3) {
    if (state.vc >= 0 && flat[i + 2] !== state.vc) continue;
    const [dx, dy, wrap] = direction(flat[i], flat[i + 1]);
    const hop = data.linkNumber.has(linkKey(noc, flat[i], flat[i + 1])) && wrap;
    const [ax, ay] = center(flat[i]).map((each) => each + off), [bx, by] = center(flat[i + 1]).map((each) => each + off);
    if (!hop) { path += "M" + ax + " " + ay + "L" + bx + " " + by; continue; }
    path += "M" + ax + " " + ay + "l" + dx * PITCH * .6 + " " + dy * PITCH * .6 +
      "M" + (bx - dx * PITCH * .6) + " " + (by - dy * PITCH * .6) + "L" + bx + " " + by;
  }
  return path;
}
