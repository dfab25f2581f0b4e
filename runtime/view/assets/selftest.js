// The page tests itself when it is opened with #selftest: it works its own controls and writes down what it sees.

async function selftest() {
  const results = { checks: {}, timing: {} }, seen = [];
  addEventListener("error", (event) => seen.push(String(event.message)));
  const check = (name, value) => { results.checks[name] = value; };
  const click = (element) => element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const key = (element, name, more = {}) => element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, ...more }));
  for (const [name, test] of Object.entries(SELF_TESTS)) {
    if (test.needsRun && !data.run) continue;
    try { check(name, await test(click, key, results)); } catch (error) { check(name, String(error)); }
    select(null);
    update({ epoch: 0, window: -1, moves: {}, moving: false, tab: "summary" });
  }
  results.errors = seen;
  results.requests = performance.getEntriesByType("resource").length;
  $("selftest").textContent = JSON.stringify(results);
  document.body.dataset.selftest = "done";
}

const usedCell = () => mesh.cells.find((each) => each.core !== undefined && stageAt(each.core, state.epoch) !== undefined);

const SELF_TESTS = {
  "routes cross the links that the image says"() {
    return data.epochs.every((epoch, number) => {
      const { loads } = loadsOf(number, (position) => position);
      return epoch.load.every((flits, id) => flits === (loads.get(linkKey(...data.links[id])) || 0));
    });
  },
  "a click on a core selects it everywhere"(click) {
    const each = usedCell();
    click(each.box);
    return state.selection.kind === "core" && $("details-title").textContent.startsWith("Core " + each.core) &&
      each.group.classList.contains("chosen") && document.querySelectorAll("[data-line].related").length > 0 && mesh.routes.childElementCount > 0;
  },
  "arrow keys move, Enter selects, Escape clears"(click, key) {
    const from = mesh.cursor;
    key(mesh.cells[from].group, "ArrowRight");
    const moved = mesh.cursor !== from || place(from)[0] === data.machine.columns - 1;
    focusCell(usedCell().position, true);
    key(usedCell().group, "Enter");
    const chosen = state.selection && state.selection.kind === "core";
    key(usedCell().group, "Escape");
    return moved && chosen && state.selection === null;
  },
  "a line of the source selects its stages"(click) {
    update({ tab: "source" });
    const row = document.querySelector("[data-line][tabindex]");
    click(row);
    return state.selection.kind === "line" && row.classList.contains("chosen") && relatedNow().stages.size > 0;
  },
  "a link lists its streams"() {
    const id = data.epochs[0].load.indexOf(data.busiest[0]);
    select("link", id);
    return $("details-body").querySelectorAll("li button").length > 0 && mesh.links[id].getAttribute("class") === "link chosen";
  },
  "a stream names its source"() {
    select("stream", 0);
    return $("details-body").textContent.includes("payload") && relatedNow().lines.size > 0;
  },
  "tabs follow the arrow keys"(click, key) {
    key($("tab-summary"), "ArrowRight");
    return state.tab === "time" && !$("panel-time").hidden && $("panel-summary").hidden;
  },
  "the stage graph has every stage"() {
    update({ tab: "graph" });
    return document.querySelectorAll("#graph .node").length >= data.stages.length;
  },
  "the tensor graph has every operation"() {
    if (!data.graph) return true;
    update({ tab: "graph" });
    showGraph("optimized");
    const shown = document.querySelectorAll("#graph .node").length;
    showGraph("stages");
    return shown === data.graph.optimized.length;
  },
  "all epochs stand side by side"() {
    update({ side: true });
    const shown = $("mesh").querySelectorAll("figure").length;
    update({ side: false });
    return shown === data.epochs.length;
  },
  "a moved stage changes the load and hands out hints"() {
    update({ moving: true });
    const free = data.stages.findIndex((stage, id) => {
      if (stage.epoch !== 0) return false;
      return [[1, 0], [-1, 0], [0, 1], [0, -1]].some((step) => { moveStage(id, step); return state.moves[id]; });
    });
    if (free < 0) return data.stages.filter((stage) => stage.epoch === 0).every((stage) => stage.cores.length > data.machine.cores.length / 2);
    const text = $("hints").value;
    const changed = Number.isFinite(whatIf().after.busiest) && $("whatif-link").textContent.includes("→");
    return changed && text.length > 10 && !$("whatif").textContent.includes("null");
  },
  "names and roles: everything that can be pressed has a name"() {
    const nameless = [...document.querySelectorAll("button, [role=button], [role=tab], input, select")].filter((each) =>
      !(each.getAttribute("aria-label") || each.textContent.trim() || (each.labels && each.labels.length && each.labels[0].textContent.trim())));
    return nameless.length === 0 || nameless.map((each) => each.outerHTML.slice(0, 80)).join();
  },
  "one cell of the mesh is in the tab order"() {
    return mesh.root.querySelectorAll("[tabindex='0']").length === 1;
  },
  "contrast of text is 4.5 to 1 or more in both themes"() {
    const worst = [];
    for (const scheme of ["light", "dark"]) {
      document.documentElement.style.colorScheme = scheme;
      for (const [text, back] of [["--text", "--card"], ["--soft", "--card"], ["--soft", "--back"], ["--accent", "--card"], ["--warn", "--card"], ["--good", "--card"], ["--text", "--field"], ["--card", "--accent"]]) {
        const ratio = contrast(shownColor(text), shownColor(back));
        if (ratio < 4.5) worst.push(scheme + " " + text + " on " + back + " " + ratio.toFixed(2));
      }
    }
    document.documentElement.style.colorScheme = "";
    for (const color of [...STAGE_COLORS, ...Object.values(ROLE_COLORS)]) if (contrast(parseColor(color), [17, 17, 17]) < 4.5) worst.push(color);
    return worst.length === 0 || worst.join();
  },
  "no view shows a value that was not made for reading"() {
    for (const name of Object.keys(panels)) update({ tab: name });
    for (const kind of ["stage", "stream", "tensor"]) select(kind, 0);
    const found = document.body.innerText.match(/\[object|undefined|NaN|Infinity|\bnull\b/);
    const hidden = [...document.querySelectorAll("main *, header *")].find((each) => each.children.length === 0 && /\[object|undefined|NaN/.test(each.textContent));
    return found === null && hidden === undefined || String(found || hidden.textContent);
  },
  "nothing is wider than the page"() {
    for (const tab of Object.keys(panels)) {
      update({ tab });
      const inside = $("panel-" + tab).getBoundingClientRect().right;
      const wide = [...$("panel-" + tab).children].find((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX === "visible" || each.getBoundingClientRect().right > inside + 1);
      if (wide) return tab + ": " + wide.outerHTML.slice(0, 80);
    }
    return document.documentElement.scrollWidth <= innerWidth + 1 || "page " + document.documentElement.scrollWidth + " window " + innerWidth;
  },
};

const withRun = {
  "numbers shown are the profile's"() {
    const figures = {};
    update({ tab: "time" });
    figures.makespan = $("fact-makespan").textContent;
    figures.threads = data.run.epochs.map((_, epoch) => {
      update({ epoch });
      return [...document.querySelectorAll("#thread-table tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    });
    figures.lines = [...document.querySelectorAll("[data-line][data-cycles]")].map((row) => [row.dataset.line, row.cells[1].textContent]);
    figures.total = $("source-total").cells[1].textContent;
    return figures;
  },
  "the scrubber moves every view"() {
    $("scrub").value = Math.floor(data.windows / 2);
    $("scrub").dispatchEvent(new Event("input"));
    return state.window === Math.floor(data.windows / 2) && $("scrub-text").textContent.startsWith("cycles ");
  },
  "a chosen core's cycles are its own"(click) {
    click(usedCell().box);
    const row = document.querySelector("[data-detail-thread=compute]");
    return Number(row.dataset.busy) === threadCycles(usedCell().core, 2)[0];
  },
  "scrubbing is fluent"(click, key, results) {
    update({ routes: "all" });
    const times = [];
    for (let w = 0; w < Math.min(data.windows, 120); w++) {
      const before = performance.now();
      update({ window: w });
      document.body.getBoundingClientRect();
      mesh.root.getBBox();
      times.push(performance.now() - before);
    }
    times.sort((a, b) => a - b);
    results.timing.scrub = { median: times[Math.floor(times.length / 2)], p95: times[Math.floor(times.length * .95)], worst: times[times.length - 1], frames: times.length };
    update({ routes: "selection" });
    return times.length > 0;
  },
};
for (const [name, test] of Object.entries(withRun)) { test.needsRun = true; SELF_TESTS[name] = test; }

function shownColor(name) {
  const probe = el("span", { style: "color:var(" + name + ")" });
  document.body.append(probe);
  const color = parseColor(getComputedStyle(probe).color);
  probe.remove();
  return color;
}

function parseColor(text) {
  if (text.startsWith("#")) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function contrast(one, other) {
  const light = (color) => {
    const [r, g, b] = color.map((value) => value / 255).map((value) => (value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + .05) / (low + .05);
}
