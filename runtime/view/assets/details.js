// The selection: what it is, what it carries, where it comes from.

function detailsPanel() {
  const [title, parts] = state.selection ? describe[state.selection.kind](state.selection.id) : ["Nothing selected", [
    el("p", { class: "muted" }, "Choose a core, a link or a DRAM channel in the mesh, a stage in the graph, a line of the source. All views show what belongs to it. " +
      "Keys: Tab reaches the mesh, arrow keys move in it, Enter selects, Escape clears; the space bar plays.")]];
  $("details-title").textContent = title;
  $("details-body").replaceChildren(...parts.flat(Infinity).filter(Boolean));
}

const pairs = (...list) => el("dl", {}, list.filter((each) => each && each[1] !== null).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
const jump = (text, action) => el("button", { type: "button", class: "link", onclick: action }, text);

function spanButtons(spans) {
  return spans.length ? spans.map(([source, line]) => el("div", {}, jump(data.sources[source].name + ":" + line, () => select("line", source + ":" + line)),
    " ", el("code", {}, lineText(source, line)))) : "no line of the source";
}

function lineText(source, line) {
  return (data.sources[source].text.split("\n")[line - 1] || "").trim().slice(0, 90);
}

const stageLink = (id) => jump(data.stages[id].letter + " " + data.stages[id].name, () => selectStage(id));
const tensorLink = (id) => [jump(data.tensors[id].name, () => select("tensor", id)), " "];

function streamText(stream) {
  const size = stream.data.reduce((sum, value, i) => (i % 4 === 1 ? sum + value : sum), 0);
  const kinds = { load: "reads", gather: "gathers", store: "writes", share: "multicasts", signal: "signals with" };
  return data.stages[stream.stage].letter + " " + kinds[stream.kind] + " " + stream.what + ": " + bytes(size) + " on NoC " + stream.noc + ", " + stream.thread + " thread";
}

function streamList(wanted) {
  const found = [...wanted].map((index) => [index, streamsNow()[index]]);
  if (!found.length) return null;
  return [el("h3", {}, "Streams"), el("ul", { class: "plain" }, found.slice(0, 60).map(([index, stream]) => el("li", {}, jump(streamText(stream), () => select("stream", index)))),
    found.length > 60 ? el("li", { class: "muted" }, "and " + (found.length - 60) + " more") : null)];
}

function cycleRows(core) {
  if (!data.run) return null;
  const reasons = data.run.reasons, total = data.run.epochs[state.epoch].cycles;
  const rows = data.run.threadNames.map((name, thread) => {
    const cycles = threadCycles(core, thread);
    if (!cycles) return null;
    const waits = reasons.map((reason, r) => [reason, cycles[r]]).filter(([reason, each]) => each && reason !== "busy").sort((a, b) => b[1] - a[1]);
    return { attributes: { "data-detail-thread": name, "data-busy": cycles[0] }, cells: [name, count(cycles[0]), percent(cycles[0] / total), waits.slice(0, 3).map(([reason, each]) => reason + " " + count(each)).join(", ")] };
  }).filter(Boolean);
  return table("Cycles in epoch " + state.epoch, ["thread", "busy", "of epoch", "otherwise, mostly"], rows, { numeric: [1, 2] });
}

const describe = {
  core(id) {
    const stage = stageAt(id, state.epoch), [x, y] = place(data.machine.cores[id]);
    const title = "Core " + id + " at (" + x + ", " + y + ")";
    if (stage === undefined) return [title, [el("p", {}, "unused in epoch " + state.epoch)]];
    const pipe = data.run && data.run.epochs[state.epoch].pipes.find((each) => each[0] === id);
    const size = data.buffersSize[data.stages[stage].buffers[data.stages[stage].cores.indexOf(id)]];
    return [title, [pairs(["stage", stageLink(stage)], ["computes", data.stages[stage].work.map((text) => el("div", {}, text))],
      ["buffers", bytes(size) + " of L1"], pipe && ["data path", "unpack " + count(pipe[1]) + ", math " + count(pipe[2]) + ", pack " + count(pipe[3]) + " cycles"],
      ["source", spanButtons(data.stages[stage].spans)]), cycleRows(id), streamList(relatedNow().streams)]];
  },
  stage(id) {
    const stage = data.stages[id], where = corner(id);
    return ["Stage " + stage.letter + " " + stage.name, [pairs(["epoch", String(stage.epoch)], ["cores", plural(stage.cores.length, "core") + (where ? " from (" + where.join(", ") + ")" : "")],
      ["computes", stage.work.map((text) => el("div", {}, text))], ["reads", stage.reads.map(tensorLink)], ["writes", stage.writes.map(tensorLink)],
      ["L1 per core", bytes(stage.l1)], ["program", plural(stage.instructions, "instruction")], ["source", spanButtons(stage.spans)]), stageCycles(id), streamList(relatedNow().streams)]];
  },
  stream(id) {
    const stream = streamsNow()[id];
    if (!stream) return ["Stream", [el("p", {}, "of another epoch")]];
    const routes = eachRoute(stream, state.epoch), size = routes.reduce((sum, each) => sum + each[1], 0);
    const packets = routes.reduce((sum, each) => sum + each[2], 0), hops = routes.reduce((sum, [route, nbytes]) => sum + linksOf(route).length * nbytes, 0);
    const vcs = new Set(routes.flatMap(([route]) => route[3].filter((_, i) => i % 3 === 2)));
    return [streamText(stream), [pairs(["stage", stageLink(stream.stage)], ["carries", stream.tensor >= 0 ? tensorLink(stream.tensor) : stream.what],
      ["payload", count(size) + " bytes in " + plural(packets, "packet")], ["routes", plural(routes.length, "route") + ", mean " + (size ? (hops / size).toFixed(1) : 0) + " links"],
      ["virtual channels", [...vcs].sort((a, b) => a - b).join(", ") || "none (its ends are one position)"], ["source", spanButtons(data.stages[stream.stage].spans)])]];
  },
  link(id) {
    const figure = linkFigure(id);
    const carrying = (stream) => eachRoute(stream, state.epoch).some(([route]) => linksOf(route).includes(id));
    const own = [...relatedNow().streams], payload = own.filter((index) => carrying(streamsNow()[index]));
    const rest = own.filter((index) => !payload.includes(index));
    return [linkName(id), [pairs(["load", figure.text], ["capacity", data.machine.flit + " bytes a cycle"]), streamList(payload),
      rest.length ? [el("h3", {}, "Only requests and acknowledgements"), streamList(rest).slice(1)] : null]];
  },
  channel(id) {
    const [x, y] = place(data.machine.channels[id]), epoch = data.run && data.run.epochs[state.epoch].channels[id];
    return ["DRAM channel " + id + " at (" + x + ", " + y + ")", [pairs(epoch && ["read", count(epoch[0]) + " bytes"], epoch && ["written", count(epoch[1]) + " bytes"],
      epoch && ["requests", count(epoch[2])], ["rate", data.machine.channelRate + " bytes a cycle"]), streamList(relatedNow().streams)]];
  },
  tensor(id) {
    const tensor = data.tensors[id];
    return ["Tensor " + tensor.name, [pairs(["type", tensor.type], ["role", tensor.role], ["size", bytes(tensor.bytes) + " in whole tiles"],
      ["place", tensor.dram ? "DRAM, from byte " + count(tensor.dram[0]) + " of every channel" : "L1 of the cores that compute it"],
      ["written by", tensor.writers.length ? tensor.writers.map((stage) => [stageLink(stage), " "]) : "the host"],
      ["read by", tensor.readers.length ? tensor.readers.map((stage) => [stageLink(stage), " "]) : "the host"]), streamList(relatedNow().streams)]];
  },
  line(id) {
    const [source, line] = id.split(":").map(Number), cost = data.lines.find((each) => each.source === source && each.line === line);
    return [data.sources[source].name + ":" + line, [el("pre", {}, lineText(source, line)), cost ? pairs(data.run ? ["cycles", count(cost.busy) + " busy, " + count(cost.stalled) + " stalled, over all threads: " + percent(cost.share)] : null,
      ["DRAM", bytes(cost.dramRead) + " read, " + bytes(cost.dramWritten) + " written"], ["between cores", bytes(cost.betweenCores)],
      ["stages", cost.stages.map((stage) => [stageLink(stage), " "])]) : el("p", {}, "No instruction comes from this line."), streamList(relatedNow().streams)]];
  },
  node(id) {
    const [kind, number] = id.split(":"), node = data.graph[kind][Number(number)];
    return ["Operation %" + number + (kind === "source" ? " as written" : ""), [el("pre", { class: "scroll" }, node.text), pairs(["type", node.type],
      ["fused", node.fused ? plural(node.fused, "scalar operation") + " in its tile expressions" : "none"],
      ["stage", node.stage >= 0 ? stageLink(node.stage) : kind === "source" ? "see the graph as compiled" : "none of its own"], ["source", spanButtons(node.spans)])]];
  },
};

function stageCycles(id) {
  if (!data.run) return null;
  const stage = data.stages[id], epoch = data.run.epochs[stage.epoch], cores = new Set(stage.cores), reasons = data.run.reasons;
  const rows = data.run.threadNames.map((name, thread) => {
    const own = epoch.threads.filter((each) => cores.has(each[0]) && each[1] === thread), mean = (r) => own.reduce((sum, each) => sum + each[2 + r], 0) / Math.max(1, own.length);
    const waits = reasons.map((reason, r) => [reason, mean(r)]).filter(([reason, each]) => each >= 1 && reason !== "busy").sort((a, b) => b[1] - a[1]);
    return [name, count(mean(0)), percent(mean(0) / epoch.cycles), waits.slice(0, 3).map(([reason, each]) => reason + " " + count(each)).join(", ")];
  });
  return table("Cycles, mean of its cores", ["thread", "busy", "of epoch", "otherwise, mostly"], rows, { numeric: [1, 2] });
}
