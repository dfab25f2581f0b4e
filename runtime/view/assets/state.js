// The one state that all views show, and what is related to the selection.

let data;
const views = [];
const state = {
  epoch: 0, window: -1, tab: "summary", color: "stage", links: "load", noc: -1, vc: -1, routes: "selection",
  side: false, moving: false, selection: null, moves: {},
};

function update(patch) {
  const changed = new Set();
  for (const [name, value] of Object.entries(patch)) {
    if (state[name] !== value) { state[name] = value; changed.add(name); }
  }
  if (changed.has("window") && state.window >= 0) {
    const epoch = data.run.time.epochs[state.window];
    if (epoch !== state.epoch) { state.epoch = epoch; changed.add("epoch"); }
  } else if (changed.has("epoch") && !changed.has("window") && state.window >= 0) {
    state.window = data.run.time.epochs.indexOf(state.epoch);
    changed.add("window");
  }
  if (changed.has("selection") || changed.has("epoch")) forgetRelated();
  if (changed.size) for (const view of views) view(changed);
  if (changed.size && !changed.has("window")) remember();
}

const select = (kind, id) => update({ selection: kind ? { kind, id } : null });
const isSelected = (kind, id) => state.selection && state.selection.kind === kind && state.selection.id === id;

// Selecting a thing of another epoch goes there.
function selectStage(id) {
  update({ epoch: data.stages[id].epoch });
  select("stage", id);
}

let related = null;
function forgetRelated() { related = null; }

function stageAt(core, epoch) {
  return data.stageOfCore[epoch].get(core);
}

// Stages, cores, streams (of the epoch shown), lines and tensors that have to do with the selection.
function relatedNow() {
  if (related) return related;
  related = { stages: new Set(), cores: new Set(), streams: new Set(), lines: new Set(), tensors: new Set() };
  const chosen = state.selection;
  if (chosen) relate[chosen.kind](chosen.id);
  return related;
}

function addStage(id) {
  const stage = data.stages[id];
  related.stages.add(id);
  for (const [source, line] of stage.spans) related.lines.add(source + ":" + line);
  if (stage.epoch === state.epoch) stage.cores.forEach((core) => related.cores.add(core));
}

const streamsNow = () => data.epochs[state.epoch].streams;

function addStreams(wanted) {
  streamsNow().forEach((stream, index) => { if (wanted(stream)) related.streams.add(index); });
}

const relate = {
  stage(id) {
    addStage(id);
    addStreams((stream) => stream.stage === id);
    for (const tensor of [...data.stages[id].reads, ...data.stages[id].writes]) related.tensors.add(tensor);
  },
  core(id) {
    related.cores.add(id);
    const stage = stageAt(id, state.epoch);
    if (stage === undefined) return;
    related.stages.add(stage);
    for (const [source, line] of data.stages[stage].spans) related.lines.add(source + ":" + line);
    const position = data.machine.cores[id];
    addStreams((stream) => eachRoute(stream, state.epoch).some(([route]) => touches(route, position)));
  },
  stream(id) {
    const stream = streamsNow()[id];
    if (!stream) return;
    addStage(stream.stage);
    related.streams.add(id);
    if (stream.tensor >= 0) related.tensors.add(stream.tensor);
  },
  link(id) {
    addStreams((stream) => eachRoute(stream, state.epoch).some(([route]) => linksOf(route).includes(id) || answersOf(route).includes(id)));
    for (const index of related.streams) related.stages.add(streamsNow()[index].stage);
  },
  line(id) {
    related.lines.add(id);
    data.stages.forEach((stage, index) => {
      if (stage.spans.some(([source, line]) => source + ":" + line === id)) addStage(index);
    });
    addStreams((stream) => related.stages.has(stream.stage));
  },
  tensor(id) {
    related.tensors.add(id);
    [...data.tensors[id].readers, ...data.tensors[id].writers].forEach(addStage);
    addStreams((stream) => stream.tensor === id);
  },
  channel(id) {
    const position = data.machine.channels[id];
    addStreams((stream) => eachRoute(stream, state.epoch).some(([route]) => touches(route, position)));
    for (const index of related.streams) related.stages.add(streamsNow()[index].stage);
  },
  node(id) {
    const [kind, number] = id.split(":");
    const node = data.graph[kind][Number(number)];
    if (node.stage >= 0) addStage(node.stage);
    for (const [source, line] of node.spans) {
      related.lines.add(source + ":" + line);
      if (node.stage < 0) {
        data.stages.forEach((stage, index) => {
          if (stage.spans.some(([where, row]) => where === source && row === line)) addStage(index);
        });
      }
    }
    addStreams((stream) => related.stages.has(stream.stage));
  },
};

function touches(route, position) {
  return route[1] === position || route[2] === position || (Array.isArray(route[2]) && route[2].includes(position));
}

// The data of a stream as [route, bytes, packets, flits, number of the route].
function eachRoute(stream, epoch) {
  const routes = data.epochs[epoch].routes, found = [];
  for (let i = 0; i < stream.data.length; i += 4) {
    const number = stream.data[i];
    found.push([routes[number], stream.data[i + 1], stream.data[i + 2], stream.data[i + 3], number]);
  }
  return found;
}

// Deep links: #epoch=1&t=34&tab=time&select=core:12
function remember() {
  const parts = [];
  if (state.epoch) parts.push("epoch=" + state.epoch);
  if (state.window >= 0) parts.push("t=" + state.window);
  if (state.tab !== "summary") parts.push("tab=" + state.tab);
  if (state.selection) parts.push("select=" + state.selection.kind + ":" + encodeURIComponent(state.selection.id));
  history.replaceState(null, "", parts.length ? "#" + parts.join("&") : location.pathname + location.search);
}

function recall() {
  const found = Object.fromEntries(location.hash.slice(1).split("&").map((part) => part.split("=")));
  const patch = {};
  if (found.epoch && data.epochs[Number(found.epoch)]) patch.epoch = Number(found.epoch);
  if (found.tab && panels[found.tab]) patch.tab = found.tab;
  if (found.t && data.run && Number(found.t) < data.run.time.starts.length) patch.window = Number(found.t);
  update(patch);
  const [kind, id] = (found.select || "").split(":").map(decodeURIComponent);
  if (kind && relate[kind] && id !== undefined) {
    const text = kind === "line" || kind === "node";
    select(kind, text ? decodeURIComponent((found.select || "").slice(kind.length + 1)) : Number(id));
  }
}

function stageColor(stage) {
  const index = data.letterIndex[stage];
  return STAGE_COLORS[index % STAGE_COLORS.length];
}
