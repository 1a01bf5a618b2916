// The overview: what is wrong, the nodes, what moves, and what is busiest.

const STAGE_NAMES = {
  parse: "parse", cross_core: "cross core", queue: "queue", append: "append", write: "write", flush: "flush",
  write_and_flush: "write and flush", replicate: "replicate", respond: "respond",
};

function panel(title, more, ...children) {
  return make("section", { class: "panel", "aria-label": title },
    make("header", {}, make("h2", {}, title), more ? make("span", { class: "more" }, more) : null), ...children);
}

function heading(title, ...beside) {
  return make("div", { class: "head" }, make("h1", { id: "title" }, title), ...beside);
}

const nodeColumns = [
  {
    label: "Node", kind: "keep",
    cell: (node) => [
      `Node ${node.id} `,
      node.is_controller ? [make("span", { class: "tag" }, "controller"), " "] : null,
      node.is_this ? make("span", { class: "tag" }, "this page") : null,
      make("span", { class: "sub wrap" }, node.address),
    ],
  },
  { label: "State", of: (node) => [node.state, node.answers, node.problem, span(node.problem_ms)], cell: nodeState },
  { label: "Rack", cell: (node) => node.rack ?? DASH },
  { label: "Leads", kind: "number", cell: (node) => link(address("partitions", [], { node: node.id }), whole(node.leads)) },
  {
    label: "In sync", kind: "number",
    cell: (node) => node.in_sync < node.keeps
      ? make("span", { class: "pill warning" }, `${whole(node.in_sync)} of ${whole(node.keeps)}`)
      : `${whole(node.in_sync)} of ${whole(node.keeps)}`,
  },
  { label: "Records/s", kind: "number", of: (node) => short(node.records_per_second), cell: (node) => short(node.records_per_second) },
  { label: "Groups", kind: "number", cell: (node) => whole(node.groups) },
  { label: "Data", kind: "number", cell: (node) => size(node.bytes) },
  { label: "Free", kind: "number", of: (node) => size(node.usable_bytes), cell: (node) => size(node.usable_bytes) },
];

/** Whether a node lives, by its own answers first and by the controller's word second. */
function nodeState(node) {
  const detail = node.problem ? make("span", { class: "sub wrap" }, `for ${span(node.problem_ms)}: ${node.problem}`) : null;
  if (node.answers === false && node.state === "active") return [pill("bad", "does not answer"), detail];
  if (node.state === "fenced") return [pill("bad", node.answers === false ? "down" : "fenced"), detail];
  if (node.state === "stopping") return [pill("warning", "stopping"), detail];
  return node.answers === null ? pill("idle", "active") : pill("good", "active");
}

function healthBox() {
  const box = make("div", { class: "state", role: "status" });
  const update = slot(box, ([health, findings]) => {
    const kind = health === "healthy" ? "" : health === "degraded" ? "warning" : "bad";
    box.className = `state ${kind}`;
    const title = health === "healthy" ? "Healthy" : health === "degraded" ? "Degraded" : "Not available";
    const text = findings.length === 0 ? make("span", {}, " \u2014 every partition has a leader and all its replicas in sync.") : null;
    const list = findings.length > 0 ? make("ul", {}, findings.map((it) => make("li", {}, link(it.link, it.text)))) : null;
    return [make("span", { class: "mark", "aria-hidden": "true" }), make("div", {}, make("strong", {}, title), text, list)];
  });
  return { root: box, show: (cluster) => update([cluster.health, cluster.findings]) };
}

function figureList(entries) {
  const values = entries.map(() => make("dd", {}, DASH));
  const root = make("dl", { class: "figures" }, entries.map(([label], index) => make("div", {}, make("dt", {}, label), values[index])));
  const updates = values.map((value) => slot(value, (parts) => parts.map((part, index) => (index === 0 ? part : make("small", {}, ` ${part}`)))));
  return { root, show: (data) => entries.forEach(([, tell], index) => updates[index](tell(data))) };
}

function nodesPanel() {
  const table = new Table({ caption: "Nodes of the cluster", columns: nodeColumns, key: (node) => node.id });
  const root = panel("Nodes", null, table.root);
  const show = (cluster) => table.show(cluster.nodes.map((node) => ({
    ...node,
    answered_ms_ago: undefined,
    is_controller: !cluster.is_alone && node.id === cluster.controller,
    is_this: cluster.nodes.length > 1 && node.id === cluster.node_id,
  })));
  return { root, show };
}

function plotPanels() {
  const perSecond = (number) => short(number);
  const records = new Plot({ title: "Records written", unit: "a second, whole cluster", format: perSecond, series: [["records", "c1"]] });
  const requests = new Plot({ title: "Requests", unit: "a second, this node", format: perSecond, series: [["requests", "c2"]] });
  const data = new Plot({ title: "Data", unit: "bytes of records a second, this node", format: size, series: [["from producers", "c1"], ["to consumers", "c2"]] });
  const disk = new Plot({ title: "Disk", unit: "bytes a second, this node", format: size, series: [["written", "c1"], ["read", "c3"]] });
  const answers = new Plot({ title: "Answers to producers", unit: "time, this node", format: seconds, series: [["median", "c1"], ["one in a hundred takes longer", "c5"]] });
  const stages = Object.entries(STAGE_NAMES).map(([, name], index) => [name, `c${index + 1}`]);
  const latency = new Plot({ title: "Where their time goes", unit: "mean of a produced batch by stage, this node", format: seconds, series: stages, isStacked: true });
  const kept = [];
  const take = (answer) => {
    const stageOf = new Map(answer.stages);
    answer.times.forEach((at, index) => kept.push({
      at,
      records: answer.rates.records[index],
      requests: answer.rates.requests[index],
      data: [answer.rates.appended_bytes[index], answer.rates.fetched_bytes[index]],
      disk: [answer.rates.disk_written_bytes[index], answer.rates.disk_read_bytes[index]],
      answers: [answer.produce.p50[index], answer.produce.p99[index]],
      stages: Object.keys(STAGE_NAMES).map((name) => stageOf.get(name)?.[index] ?? null),
    }));
    const newest = kept.at(-1)?.at ?? 0;
    while (kept.length > 0 && kept[0].at < newest - PLOT_SPAN_MS) kept.shift();
    records.show(kept.map((it) => [it.at, [it.records]]));
    requests.show(kept.map((it) => [it.at, [it.requests]]));
    data.show(kept.map((it) => [it.at, it.data]));
    disk.show(kept.map((it) => [it.at, it.disk]));
    answers.show(kept.map((it) => [it.at, it.answers]));
    latency.show(kept.map((it) => [it.at, it.stages]));
  };
  const poll = new Poll("plots", () => ({ since: kept.at(-1)?.at }), take);
  const root = make("section", { class: "plots", "aria-label": "The last ten minutes" }, records.root, data.root, answers.root, latency.root, requests.root, disk.root);
  return { root, stop: () => poll.stop() };
}

/** A short list without pages; the whole one is behind its link. */
function topList({ title, path, parameters, table, to, empty }) {
  const nothing = make("p", { class: "empty" }, "Loading\u2026");
  table.root.hidden = true;
  const poll = new Poll(path, () => parameters, (page) => {
    table.show(page.lines);
    table.root.hidden = page.lines.length === 0;
    nothing.hidden = page.lines.length > 0;
    nothing.textContent = empty;
  });
  return { root: panel(title, link(to, "All"), table.root, nothing), stop: () => poll.stop() };
}

function overviewView(content) {
  const health = healthBox();
  const figures = figureList([
    ["Records/s", (it) => [short(it.records_per_second)]],
    ["Topics", (it) => [whole(it.topics)]],
    ["Partitions", (it) => [whole(it.sums.partitions), ...(it.sums.moving > 0 ? [`${whole(it.sums.moving)} moving`] : [])]],
    ["Not in sync", (it) => [whole(it.sums.under_replicated)]],
    ["Without leader", (it) => [whole(it.sums.leaderless)]],
    ["Groups", (it) => [whole(it.groups)]],
  ]);
  const nodes = nodesPanel();
  const plots = plotPanels();
  const topicTable = new Table({
    caption: "Busiest topics",
    key: (topic) => topic.name,
    columns: [topicColumns.name, topicColumns.rate, topicColumns.records, topicColumns.bytes],
  });
  const topics = topList({
    title: "Busiest topics", path: "topics", parameters: { sort: "-rate", count: 8 }, table: topicTable,
    to: address("topics", [], { sort: "-rate" }), empty: "There are no topics yet.",
  });
  const groupTable = new Table({
    caption: "Groups that are furthest behind",
    key: (group) => group.name,
    columns: [groupColumns.name, groupColumns.state, groupColumns.members, groupColumns.lag],
  });
  const groups = topList({
    title: "Groups, furthest behind first", path: "groups", parameters: { sort: "-lag", count: 8 }, table: groupTable,
    to: address("groups", [], { sort: "-lag" }), empty: "There are no groups yet.",
  });
  const show = (cluster) => {
    health.show(cluster);
    figures.show(cluster);
    nodes.show(cluster);
  };
  fill(content, make("h1", { id: "title", class: "hidden" }, "Overview"), health.root, figures.root, nodes.root, plots.root,
    make("div", { class: "plots" }, topics.root, groups.root));
  live.watch(show);
  return {
    title: "Overview",
    update() {},
    stop() {
      live.forget(show);
      [plots, topics, groups].forEach((part) => part.stop());
    },
  };
}
