// Graphs: stages and the tensors between them; the tensor graph as written and as compiled.

const graphs = { shown: "stages", built: new Map() };

function graphPanel(panel) {
  const choices = [["stages", "Stages"]];
  if (data.graph) choices.push(["optimized", "Tensor graph as compiled"], ["source", "Tensor graph as written"]);
  const buttons = choices.map(([name, text]) => el("button", { type: "button", "aria-pressed": name === "stages", "data-graph": name,
    onclick: () => showGraph(name) }, text));
  panel.append(el("div", { class: "bar", role: "group", "aria-label": "Which graph" }, buttons), el("div", { class: "graph", id: "graph", tabindex: 0, role: "region", "aria-label": "Graph, scrollable" }));
  if (data.graph) panel.append(passTable());
  else panel.append(el("p", { class: "muted" }, "An image holds stages, not the tensor graph: `meshc view FILE.mesh`, or a run made from a source, shows it."));
  views.push((changed) => {
    if (state.tab !== "graph") return;
    if (changed.has("tab") && !$("graph").firstChild) showGraph(graphs.shown);
    if (["selection", "epoch", "tab"].some((each) => changed.has(each))) paintGraph();
  });
}

function passTable() {
  const rows = data.graph.passes.map(([name, before, after]) => [name, count(before), count(after), after < before ? "removed or fused " + (before - after) : "—"]);
  return table("Passes, in the order in which they ran", ["pass", "operations before", "after", ""], rows, { numeric: [1, 2] });
}

function showGraph(name) {
  graphs.shown = name;
  document.querySelectorAll("[data-graph]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.graph === name));
  if (!graphs.built.has(name)) graphs.built.set(name, name === "stages" ? stageGraph() : tensorGraph(name));
  $("graph").replaceChildren(graphs.built.get(name));
  paintGraph();
}

function stageGraph() {
  const nodes = data.stages.map((stage, id) => ({ key: "s" + id, lines: [stage.letter + " " + stage.name, plural(stage.cores.length, "core") + ", epoch " + stage.epoch],
    color: stageColor(id), act: () => selectStage(id), pick: ["stage", id] }));
  const edges = [];
  data.tensors.forEach((tensor, id) => {
    if (!tensor.readers.length && !tensor.writers.length) return;
    nodes.push({ key: "t" + id, lines: [tensor.name, tensor.type + (tensor.dram ? "" : " in L1")], color: ROLE_COLORS[tensor.role], act: () => select("tensor", id), pick: ["tensor", id] });
    tensor.writers.forEach((stage) => edges.push(["s" + stage, "t" + id]));
    tensor.readers.forEach((stage) => edges.push(["t" + id, "s" + stage]));
  });
  return drawGraph(nodes, edges);
}

function tensorGraph(kind) {
  const outputs = new Map((kind === "source" ? data.graph.sourceOutputs : data.graph.outputs).map(([name, value]) => [value, name]));
  const nodes = data.graph[kind].map((node, id) => {
    const first = node.stage >= 0 ? data.stages[node.stage].letter + " " : "";
    const fused = node.fused > 1 ? ", " + node.fused + " fused" : "";
    return { key: id, lines: [first + "%" + id + " " + node.kind + fused + (outputs.has(id) ? " → " + outputs.get(id) : ""), node.type],
      title: node.text, color: node.stage >= 0 ? stageColor(node.stage) : null, act: () => select("node", kind + ":" + id), pick: ["node", kind + ":" + id],
      stage: node.stage, spans: node.spans };
  });
  return drawGraph(nodes, data.graph[kind].flatMap((node, id) => node.inputs.map((input) => [input, id])));
}

// Layers by longest way from a source; inside a layer by the mean place of what a node comes from.
function layout(nodes, edges) {
  const parents = new Map(nodes.map((node) => [node.key, []])), children = new Map(nodes.map((node) => [node.key, []]));
  edges.forEach(([from, to]) => { parents.get(to).push(from); children.get(from).push(to); });
  const left = new Map(nodes.map((node) => [node.key, parents.get(node.key).length])), depth = new Map();
  const ready = nodes.filter((node) => !left.get(node.key)).map((node) => node.key);
  while (ready.length) {
    const key = ready.shift();
    depth.set(key, Math.max(0, ...parents.get(key).map((parent) => depth.get(parent) + 1)));
    for (const child of children.get(key)) {
      left.set(child, left.get(child) - 1);
      if (!left.get(child)) ready.push(child);
    }
  }
  for (const node of nodes) { // sources stand right before their first user
    const users = children.get(node.key);
    if (!parents.get(node.key).length && users.length) depth.set(node.key, Math.max(0, Math.min(...users.map((user) => depth.get(user) ?? 0)) - 1));
  }
  const layers = [];
  for (const node of nodes) (layers[depth.get(node.key) ?? 0] ||= []).push(node.key);
  const order = new Map();
  for (const layer of layers) {
    if (!layer) continue;
    const mean = (key) => { const known = parents.get(key).filter((parent) => order.has(parent)); return known.length ? known.reduce((sum, parent) => sum + order.get(parent), 0) / known.length : 0; };
    layer.sort((a, b) => mean(a) - mean(b));
    layer.forEach((key, index) => order.set(key, index));
  }
  return { depth, order };
}

function drawGraph(nodes, edges) {
  const { depth, order } = layout(nodes, edges), wide = 168, high = 36, gapX = 14, gapY = 26;
  const spot = (key) => [8 + (order.get(key) ?? 0) * (wide + gapX), 8 + (depth.get(key) ?? 0) * (high + gapY)];
  const width = 16 + Math.max(0, ...nodes.map((node) => spot(node.key)[0] + wide)), height = 16 + Math.max(0, ...nodes.map((node) => spot(node.key)[1] + high));
  const root = svg("svg", { width, height, viewBox: "0 0 " + width + " " + height, role: "group", "aria-label": plural(nodes.length, "node") });
  for (const [from, to] of edges) {
    const [x, y] = spot(from), [x1, y1] = spot(to);
    const a = x + wide / 2, b = y + high, c = x1 + wide / 2;
    root.append(svg("path", { class: "edge", d: "M" + a + " " + b + "C" + a + " " + (b + gapY) + " " + c + " " + (y1 - gapY) + " " + c + " " + y1 }));
  }
  for (const node of nodes) {
    const [x, y] = spot(node.key);
    const group = svg("g", { class: "node" + (node.color ? " colored" : ""), role: "button", tabindex: 0, "aria-label": node.lines.join(", ") },
      svg("title", {}, node.title || node.lines.join(", ")), svg("rect", { x, y, width: wide, height: high, style: node.color ? "fill:" + node.color : null }),
      svg("text", { x: x + 6, y: y + 15, style: "font:600 11.5px system-ui;" + (node.color ? "fill:#111" : "fill:var(--text)") }, node.lines[0].slice(0, 26)),
      svg("text", { x: x + 6, y: y + 29, style: "font:11px system-ui;" + (node.color ? "fill:#333" : "fill:var(--soft)") }, node.lines[1].slice(0, 28)));
    press(group, node.act);
    group.node = node;
    root.append(group);
  }
  return root;
}

function paintGraph() {
  const seen = relatedNow();
  let first = null;
  document.querySelectorAll("#graph .node").forEach((group) => {
    const [kind, id] = group.node.pick, chosen = isSelected(kind, id);
    const near = (kind === "stage" && seen.stages.has(id)) || (kind === "tensor" && seen.tensors.has(id)) ||
      (kind === "node" && (seen.stages.has(group.node.stage) || group.node.spans.some(([source, line]) => seen.lines.has(source + ":" + line))));
    group.classList.toggle("chosen", Boolean(chosen));
    group.classList.toggle("related", near && !chosen);
    if ((near || chosen) && !first) first = group;
  });
  if (first && state.selection && !first.matches(":focus")) {
    const box = $("graph"), frame = first.getBoundingClientRect(), outer = box.getBoundingClientRect();
    if (frame.bottom > outer.bottom || frame.top < outer.top) box.scrollTop += frame.top - outer.top - 80;
    if (frame.right > outer.right || frame.left < outer.left) box.scrollLeft += frame.left - outer.left - 80;
  }
}
