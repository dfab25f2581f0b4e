// Routes as links; and the routes that moved stages would have: dimension order, as on the machine.

const place = (position) => [position % data.machine.columns, Math.floor(position / data.machine.columns)];
const at = (x, y) => y * data.machine.columns + x;

function linkKey(noc, src, dst) {
  return (noc * data.positions + src) * data.positions + dst;
}

// The hops [src, dst] of straight runs.
function hopsOf(noc, flat) {
  const hops = [];
  for (let i = 0; i < flat.length; i += 3) {
    if (data.linkNumber.has(linkKey(noc, flat[i], flat[i + 1]))) { // one hop, or around the edge
      hops.push([flat[i], flat[i + 1]]);
      continue;
    }
    const [x1, y1] = place(flat[i + 1]);
    let [x, y] = place(flat[i]);
    const dx = Math.sign(x1 - x), dy = Math.sign(y1 - y);
    while (x !== x1 || y !== y1) {
      hops.push([at(x, y), at(x + dx, y + dy)]);
      x += dx; y += dy;
    }
  }
  return hops;
}

const linkCache = new Map();
function linksOf(route) {
  let found = linkCache.get(route);
  if (!found) {
    found = hopsOf(route[0], route[3]).map(([src, dst]) => data.linkNumber.get(linkKey(route[0], src, dst)));
    linkCache.set(route, found);
  }
  return found;
}

// Requests and acknowledgements go the other way, from every destination back to the source.
const answerCache = new Map();
function answersOf(route) {
  let found = answerCache.get(route);
  if (!found) {
    const members = Array.isArray(route[2]) ? route[2] : [route[2]];
    found = members.flatMap((member) => unicastHops(route[0], member, route[1])).map(([src, dst]) => data.linkNumber.get(linkKey(route[0], src, dst)));
    answerCache.set(route, found);
  }
  return found;
}

function axisHops(noc, axis, line, start, end) {
  const network = data.machine.nocs[noc], size = axis ? data.machine.rows : data.machine.columns;
  const step = network.torus ? (axis ? network.y : network.x) : Math.sign(end - start);
  const hops = [];
  for (let here = start; here !== end;) {
    const next = (here + step + size) % size;
    hops.push(axis ? [at(line, here), at(line, next)] : [at(here, line), at(next, line)]);
    here = next;
  }
  return hops;
}

function unicastHops(noc, src, dst) {
  const [x, y] = place(src), [x1, y1] = place(dst);
  if (data.machine.nocs[noc].order === "xy") return [...axisHops(noc, 0, y, x, x1), ...axisHops(noc, 1, x1, y, y1)];
  return [...axisHops(noc, 1, x, y, y1), ...axisHops(noc, 0, y1, x, x1)];
}

// One way on a torus, both ways on a mesh: as far as the farthest member.
function coverHops(noc, axis, line, start, ends) {
  const network = data.machine.nocs[noc], size = axis ? data.machine.rows : data.machine.columns;
  if (network.torus) {
    const step = axis ? network.y : network.x;
    const far = ends.reduce((best, end) => {
      const reach = ((end - start) * step % size + size) % size;
      return reach > best[0] ? [reach, end] : best;
    }, [0, start]);
    return axisHops(noc, axis, line, start, far[1]);
  }
  return [...axisHops(noc, axis, line, start, Math.max(start, ...ends)),
    ...axisHops(noc, axis, line, start, Math.min(start, ...ends))];
}

function treeHops(noc, src, members) {
  const trunk = data.machine.nocs[noc].order === "xy" ? 0 : 1;
  const [sx, sy] = place(src), start = trunk ? sy : sx, line = trunk ? sx : sy;
  const groups = new Map();
  for (const member of members) {
    const [x, y] = place(member), along = trunk ? y : x;
    groups.set(along, [...(groups.get(along) || []), trunk ? x : y]);
  }
  const hops = coverHops(noc, trunk, line, start, [...groups.keys()]);
  for (const [along, ends] of groups) hops.push(...coverHops(noc, 1 - trunk, along, line, ends));
  return hops;
}

// What every link of an epoch carries, in flits, and bytes times links, when cores stand where `moved` says.
function loadsOf(epoch, moved) {
  const loads = new Map();
  let work = 0;
  const add = (noc, hops, flits) => {
    for (const [src, dst] of hops) {
      const key = linkKey(noc, src, dst);
      loads.set(key, (loads.get(key) || 0) + flits);
    }
  };
  const cache = new Map();
  const way = (noc, src, dst) => {
    const key = linkKey(noc, src, dst);
    if (!cache.has(key)) cache.set(key, unicastHops(noc, src, dst));
    return cache.get(key);
  };
  for (const stream of data.epochs[epoch].streams) {
    for (const [route, size, packets, flits] of eachRoute(stream, epoch)) {
      const noc = route[0], src = moved(route[1]), tree = Array.isArray(route[2]);
      const members = (tree ? route[2] : [route[2]]).map(moved).filter((member) => !tree || member !== src);
      const hops = tree ? treeHops(noc, src, members) : way(noc, src, members[0]);
      add(noc, hops, flits);
      work += hops.length * size;
      for (const member of members) add(noc, way(noc, member, src), packets);
    }
  }
  return { loads, work, busiest: Math.max(0, ...loads.values()) };
}
