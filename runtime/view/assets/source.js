// Source: the program, with what each line cost.

function sourcePanel(panel) {
  const rows = new Map(data.lines.map((line, index) => [line.source + ":" + line.line, [line, index]]));
  data.sources.forEach((source, number) => {
    if (!data.lines.some((line) => line.source === number)) return;
    const own = source.name.startsWith("<");
    const listed = source.text.replace(/\n$/, "").split("\n").map((text, index) => [index + 1, text, rows.get(number + ":" + (index + 1))])
      .filter(([, , cost]) => cost || !own);
    panel.append(sourceTable(source.name, number, listed));
  });
  const rest = data.lines.filter((line) => line.source < 0);
  if (data.run) panel.append(totalTable(rest));
  views.push((changed) => { if (changed.has("selection") || changed.has("epoch")) paintSource(); });
}

function sourceTable(name, number, listed) {
  const columns = data.run ? ["line", "cycles", "share", "", "DRAM", "between cores", "source"] : ["line", "DRAM", "between cores", "source"];
  const body = listed.map(([line, text, cost]) => {
    const id = number + ":" + line, moved = cost ? [bytes(cost[0].dramRead + cost[0].dramWritten), bytes(cost[0].betweenCores)] : ["", ""];
    const cycles = !data.run ? [] : cost ? [count(cost[0].busy + cost[0].stalled), percent(cost[0].share),
      el("span", { class: "share", style: "width:" + Math.max(1, 60 * cost[0].share) + "px" })] : ["", "", ""];
    const attributes = { "data-line": id };
    if (cost) Object.assign(attributes, { tabindex: 0, onclick: () => select("line", id), onkeydown: (event) => { if (event.key === "Enter") select("line", id); },
      "data-cycles": cost[0].busy + cost[0].stalled });
    return { attributes, cells: [String(line), ...cycles, ...moved, el("span", { class: "text" }, text)] };
  });
  return table(name, columns, body, { class: "code", numeric: data.run ? [0, 1, 2, 4, 5] : [0, 1, 2] });
}

function totalTable(rest) {
  const all = data.lines.reduce((sum, line) => sum + line.busy + line.stalled, 0);
  const rows = rest.map((line) => [line.text, count(line.busy + line.stalled), percent(line.share)]);
  rows.push({ attributes: { id: "source-total", "data-cycles": all }, cells: ["all lines and idle: threads × cycles of their epochs", count(all), "100.0 %"] });
  return table("Not on any line, and the sum", ["", "cycles", "share"], rows, { numeric: [1, 2] });
}

function paintSource() {
  const seen = relatedNow();
  document.querySelectorAll("[data-line]").forEach((row) => {
    row.classList.toggle("chosen", Boolean(isSelected("line", row.dataset.line)));
    row.classList.toggle("related", seen.lines.has(row.dataset.line));
  });
}
