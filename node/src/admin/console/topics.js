// Topics, one topic, and partitions.

const STANDINGS = {
  leaderless: ["bad", "no leader"],
  under_min_in_sync: ["bad", "too few in sync"],
  under_replicated: ["warning", "not in sync"],
  fine: ["good", "in sync"],
};

function standing(word) {
  const [kind, text] = STANDINGS[word] ?? ["idle", word];
  return pill(kind, text);
}

const topicColumns = {
  name: {
    label: "Topic", kind: "wrap", sort: ["name", "-name"], of: (topic) => [topic.name, topic.is_internal],
    cell: (topic) => [link(address("topic", [topic.name]), topic.name), topic.is_internal ? [" ", make("span", { class: "tag" }, "internal")] : null],
  },
  standing: {
    label: "State", sort: ["-problems", "problems"], of: (topic) => [topic.standing, topic.problems, topic.moving],
    cell: (topic) => [
      standing(topic.standing),
      topic.problems > 0 ? make("span", { class: "sub" }, `${whole(topic.problems)} of ${whole(topic.partitions)}`) : null,
      topic.moving > 0 ? make("span", { class: "sub" }, `${whole(topic.moving)} moving`) : null,
    ],
  },
  partitions: { label: "Partitions", kind: "number", sort: ["-partitions", "partitions"], of: (topic) => topic.partitions, cell: (topic) => whole(topic.partitions) },
  replicas: {
    label: "Replicas", kind: "number", of: (topic) => [topic.replicas, topic.min_in_sync],
    cell: (topic) => [whole(topic.replicas), make("span", { class: "soft" }, ` min ${topic.min_in_sync}`)],
  },
  rate: { label: "Records/s", kind: "number", sort: ["-rate", "rate"], of: (topic) => short(topic.records_per_second), cell: (topic) => short(topic.records_per_second) },
  records: { label: "Records", kind: "number", sort: ["-records", "records"], of: (topic) => topic.records, cell: (topic) => whole(topic.records) },
  bytes: { label: "Size", kind: "number", sort: ["-bytes", "bytes"], of: (topic) => size(topic.bytes), cell: (topic) => size(topic.bytes) },
};

/** A field to search with, whose text is in the address, so that it can be sent to somebody. */
function searchField(label, text, go) {
  const input = make("input", { type: "search", value: text ?? "", placeholder: "Part of the name", autocomplete: "off", spellcheck: "false" });
  const changed = settled(() => go(input.value.trim()));
  input.addEventListener("input", changed);
  return { root: field(label, input, "grow"), set(value) { if (document.activeElement !== input) input.value = value ?? ""; } };
}

function topicsView(content, route) {
  let parameters = route.parameters;
  const go = (change, replace = false) => navigate("topics", [], { ...parameters, from: undefined, ...change }, replace);
  const search = searchField("Search topics", parameters.search, (text) => go({ search: text }, true));
  const internal = make("input", { type: "checkbox", onchange: () => go({ internal: internal.checked ? "1" : undefined }, true) });
  const table = new Table({
    caption: "Topics", key: (topic) => topic.name, columns: Object.values(topicColumns), sort: parameters.sort ?? "name",
    onSort: (sort) => go({ sort: sort === "name" ? undefined : sort }, true),
  });
  const listing = new Listing({
    path: "topics", parameters: () => ({ search: parameters.search, sort: parameters.sort, internal: parameters.internal, from: parameters.from }),
    table, noun: ["topic", "topics"], onPage: (from) => go({ from: from || undefined }),
    empty: () => (parameters.search ? `No topic has \u201c${parameters.search}\u201d in its name.` : "There are no topics yet. \u2018ringmain topic create NAME\u2019 makes one."),
  });
  const show = (now) => {
    parameters = now;
    search.set(parameters.search);
    internal.checked = parameters.internal === "1";
    table.sorted(parameters.sort ?? "name");
  };
  show(parameters);
  const tools = make("div", { class: "tools", role: "search" }, search.root, make("label", { class: "check" }, internal, "Internal topics"));
  fill(content, heading("Topics"), make("section", { class: "panel", "aria-labelledby": "title" }, tools, listing.root));
  return {
    title: "Topics",
    update(now) { show(now); listing.again(); },
    stop: () => listing.stop(),
  };
}

/** A replica: who keeps it, whether it leads, is in sync, and how far behind it is. */
function replica(partition, it) {
  const isLeader = it.node === partition.leader;
  const kind = isLeader ? "leader" : it.in_sync ? "" : "out";
  const words = [isLeader ? "leader" : it.in_sync ? "in sync" : "not in sync"];
  if (it.is_adding) words.push("being added");
  if (it.is_removing) words.push("being removed");
  const lag = isLeader ? null : it.lag === null ? "?" : it.lag > 0 ? `\u2212${short(it.lag)}` : null;
  const said = lag === "?" ? "lag not known" : lag ? `${whole(it.lag)} records behind` : isLeader ? null : "nothing behind";
  const text = `Node ${it.node}: ${[...words, said].filter(Boolean).join(", ")}`;
  return make("span", { class: `replica ${kind}`, title: text },
    make("span", { class: "hidden" }, text), make("span", { "aria-hidden": "true" }, it.node), lag ? make("span", { class: "lag", "aria-hidden": "true" }, lag) : null);
}

const partitionColumns = {
  topic: {
    label: "Partition", kind: "wrap", of: (it) => [it.topic, it.partition],
    cell: (it) => [link(address("topic", [it.topic]), it.topic), make("span", { class: "soft" }, ` / ${it.partition}`)],
  },
  index: { label: "Partition", of: (it) => it.partition, cell: (it) => it.partition },
  standing: { label: "State", of: (it) => [it.standing, it.is_moving], cell: (it) => [standing(it.standing), it.is_moving ? make("span", { class: "sub" }, "moving") : null] },
  leader: { label: "Leader", kind: "number", of: (it) => [it.leader, it.leader_epoch], cell: (it) => [it.leader ?? make("span", { class: "pill bad" }, "none"), make("span", { class: "soft" }, ` epoch ${it.leader_epoch}`)] },
  replicas: {
    label: "Replicas, lag", kind: "full", of: (it) => [it.leader, it.replicas.map((one) => [one.node, one.in_sync, one.lag, one.is_adding, one.is_removing])],
    cell: (it) => make("span", { class: "replicas" }, it.replicas.map((one) => replica(it, one))),
  },
  start: { label: "Start", kind: "number", of: (it) => it.start, cell: (it) => whole(it.start) },
  mark: { label: "High watermark", kind: "number", of: (it) => it.high_watermark, cell: (it) => whole(it.high_watermark) },
  end: { label: "End", kind: "number", of: (it) => it.end, cell: (it) => whole(it.end) },
  rate: { label: "Records/s", kind: "number", of: (it) => short(it.records_per_second), cell: (it) => short(it.records_per_second) },
  bytes: { label: "Size", kind: "number", of: (it) => partitionBytes(it), cell: (it) => size(partitionBytes(it)) },
  records: { label: "Records", of: (it) => [it.topic, it.partition], cell: (it) => link(address("records", [it.topic, it.partition]), "Browse", make("span", { class: "hidden" }, ` ${it.topic} ${it.partition}`)) },
};

function partitionBytes(it) {
  return (it.replicas.find((one) => one.node === it.leader) ?? it.replicas.find((one) => one.bytes !== null))?.bytes ?? null;
}

const replicaNote = () => make("span", { class: "soft" }, "A filled node leads, a dashed one is not in sync; \u2212n is how many records it lacked when asked.");

function partitionsView(content, route) {
  let parameters = route.parameters;
  const go = (change, replace = false) => navigate("partitions", [], { ...parameters, from: undefined, ...change }, replace);
  const search = searchField("Search by topic", parameters.search, (text) => go({ search: text }, true));
  const kinds = [["", "All"], ["problems", "With a problem"], ["leaderless", "Without a leader"], ["short", "Too few in sync"], ["behind", "Not in sync"]];
  const only = make("select", { onchange: () => go({ only: only.value }, true) }, options(kinds, parameters.only ?? ""));
  const node = make("input", { type: "number", min: "0", placeholder: "any", onchange: () => go({ node: node.value }, true) });
  const columns = ["topic", "standing", "leader", "replicas", "start", "mark", "end", "rate", "bytes", "records"];
  const table = new Table({ caption: "Partitions", key: (it) => `${it.topic}/${it.partition}`, columns: columns.map((name) => partitionColumns[name]) });
  const listing = new Listing({
    path: "partitions", parameters: () => ({ search: parameters.search, only: parameters.only, node: parameters.node, from: parameters.from }),
    table, noun: ["partition", "partitions"], onPage: (from) => go({ from: from || undefined }),
    empty: () => (parameters.only ? "No partition is like that. Good." : "There are no such partitions."),
  });
  const show = (now) => {
    parameters = now;
    search.set(parameters.search);
    only.value = parameters.only ?? "";
    node.value = parameters.node ?? "";
  };
  show(parameters);
  const tools = make("div", { class: "tools", role: "search" }, search.root, field("Show", only), field("On node", node));
  fill(content, heading("Partitions", replicaNote()), make("section", { class: "panel", "aria-labelledby": "title" }, tools, listing.root));
  return {
    title: "Partitions",
    update(now) { show(now); listing.again(); },
    stop: () => listing.stop(),
  };
}

function topicView(content, route) {
  const name = route.parts[0] ?? "";
  let parameters = route.parameters;
  const figures = figureList([
    ["Partitions", (it) => [whole(it.partitions)]],
    ["Replicas", (it) => [whole(it.replicas), `min in sync ${it.min_in_sync}`]],
    ["Records/s", (it) => [short(it.records_per_second)]],
    ["Records", (it) => [whole(it.records)]],
    ["Size", (it) => [size(it.bytes), "one copy"]],
  ]);
  const state = make("span", {});
  const showState = slot(state, (it) => standing(it));
  const configs = make("div", {});
  const showConfigs = slot(configs, ([id, pairs]) => make("dl", { class: "pairs" },
    make("dt", {}, "Id"), make("dd", { class: "mono" }, id),
    pairs.map(([key, value]) => [make("dt", {}, key), make("dd", { class: "mono" }, value)]),
    pairs.length === 0 ? [make("dt", {}, "Configuration"), make("dd", {}, "nothing of its own")] : null));
  const problem = make("p", { class: "problem", role: "status", hidden: true });
  const poll = new Poll("topic", () => ({ name }), (answer) => {
    problem.hidden = true;
    figures.show(answer);
    showState(answer.standing);
    showConfigs([answer.id, answer.configs]);
  }, (error) => {
    problem.hidden = false;
    problem.textContent = error.message;
  });
  const columns = ["index", "standing", "leader", "replicas", "start", "mark", "end", "rate", "bytes", "records"];
  const table = new Table({ caption: `Partitions of ${name}`, key: (it) => it.partition, columns: columns.map((column) => partitionColumns[column]) });
  const listing = new Listing({
    path: "partitions", parameters: () => ({ topic: name, from: parameters.from }), table, noun: ["partition", "partitions"],
    onPage: (from) => navigate("topic", [name], { from: from || undefined }), empty: () => "It has no partitions.",
  });
  fill(content, heading(name, state, link(address("records", [name, "0"]), "Browse records")), problem, figures.root,
    panel("Partitions", replicaNote(), listing.root), panel("Configuration of its own", null, configs));
  return {
    title: name,
    update(now) { parameters = now; listing.again(); },
    stop() { poll.stop(); listing.stop(); },
  };
}
