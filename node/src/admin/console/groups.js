// Groups: who reads, and how far behind.

const GROUP_KINDS = { Stable: "good", Empty: "idle", PreparingRebalance: "warning", CompletingRebalance: "warning", Dead: "bad" };
const GROUP_WORDS = { Stable: "stable", Empty: "no members", PreparingRebalance: "rebalancing", CompletingRebalance: "rebalancing", Dead: "gone" };

function groupState(state) {
  return pill(GROUP_KINDS[state] ?? "idle", GROUP_WORDS[state] ?? state ?? DASH);
}

function lagText(group) {
  return group.lag === null ? DASH : `${group.lag_is_partial ? "\u2265 " : ""}${whole(group.lag)}`;
}

const groupColumns = {
  name: { label: "Group", kind: "wrap", sort: ["name", "-name"], of: (it) => it.name, cell: (it) => link(address("group", [it.name]), it.name) },
  state: { label: "State", of: (it) => it.state, cell: (it) => groupState(it.state) },
  members: { label: "Members", kind: "number", of: (it) => it.members, cell: (it) => whole(it.members) },
  lag: { label: "Lag", kind: "number", sort: ["-lag", "lag"], of: (it) => lagText(it), cell: (it) => lagText(it) },
  topics: {
    label: "Topics", kind: "wrap full", of: (it) => it.topics,
    cell: (it) => it.topics.length === 0 ? DASH : [
      it.topics.slice(0, 4).map((topic, index) => [index > 0 ? ", " : null, link(address("topic", [topic]), topic)]),
      it.topics.length > 4 ? make("span", { class: "soft" }, ` and ${it.topics.length - 4} more`) : null,
    ],
  },
  protocol: { label: "Protocol", of: (it) => it.protocol, cell: (it) => it.protocol || DASH },
  coordinator: { label: "Coordinator", kind: "number", of: (it) => it.coordinator, cell: (it) => `Node ${it.coordinator}` },
};

function groupsView(content, route) {
  let parameters = route.parameters;
  const go = (change, replace = false) => navigate("groups", [], { ...parameters, from: undefined, ...change }, replace);
  const search = searchField("Search groups", parameters.search, (text) => go({ search: text }, true));
  const columns = ["name", "state", "members", "lag", "topics", "protocol", "coordinator"].map((name) => groupColumns[name]);
  const table = new Table({
    caption: "Consumer groups", key: (it) => it.name, columns, sort: parameters.sort ?? "name",
    onSort: (sort) => go({ sort: sort === "name" ? undefined : sort }, true),
  });
  const listing = new Listing({
    path: "groups", parameters: () => ({ search: parameters.search, sort: parameters.sort, from: parameters.from }),
    table, noun: ["group", "groups"], onPage: (from) => go({ from: from || undefined }),
    empty: () => (parameters.search ? `No group has \u201c${parameters.search}\u201d in its name.` : "There are no groups yet: a consumer makes one when it joins."),
  });
  const show = (now) => {
    parameters = now;
    search.set(parameters.search);
    table.sorted(parameters.sort ?? "name");
  };
  show(parameters);
  fill(content, heading("Groups", make("span", { class: "soft" }, "Lag counts offsets between what a group committed and the high watermark.")),
    make("section", { class: "panel", "aria-labelledby": "title" }, make("div", { class: "tools", role: "search" }, search.root), listing.root));
  return {
    title: "Groups",
    update(now) { show(now); listing.again(); },
    stop: () => listing.stop(),
  };
}

const memberColumns = [
  { label: "Client", kind: "wrap", cell: (it) => [it.client_id || DASH, make("span", { class: "sub" }, it.instance_id ?? it.id)] },
  { label: "Host", kind: "wrap", cell: (it) => it.host || DASH },
  { label: "Partitions", kind: "number", cell: (it) => whole(it.assigned) },
];

const progressColumns = [
  { label: "Partition", kind: "wrap", of: (it) => [it.topic, it.partition], cell: (it) => [link(address("topic", [it.topic]), it.topic), make("span", { class: "soft" }, ` / ${it.partition}`)] },
  { label: "Committed", kind: "number", of: (it) => it.committed, cell: (it) => whole(it.committed) },
  { label: "End", kind: "number", of: (it) => it.end, cell: (it) => whole(it.end) },
  { label: "Lag", kind: "number", of: (it) => it.lag, cell: (it) => whole(it.lag) },
  { label: "Read by", kind: "wrap", of: (it) => [it.client_id, it.member], cell: (it) => it.client_id ?? it.member ?? make("span", { class: "none" }, "nobody") },
  {
    label: "Records", of: (it) => [it.topic, it.partition, it.committed],
    cell: (it) => it.committed === null ? DASH
      : link(address("records", [it.topic, it.partition], { at: "offset", offset: it.committed }), "From the commit", make("span", { class: "hidden" }, ` of ${it.topic} ${it.partition}`)),
  },
];

function groupView(content, route) {
  const name = route.parts[0] ?? "";
  let parameters = route.parameters;
  const state = make("span", {});
  const showState = slot(state, (it) => groupState(it));
  const figures = figureList([
    ["Lag", (it) => [lagText(it), "offsets"]],
    ["Members", (it) => [whole(it.members)]],
    ["Partitions", (it) => [whole(it.partitions.matching)]],
    ["Protocol", (it) => [it.protocol || DASH]],
    ["Coordinator", (it) => [`Node ${it.coordinator}`]],
  ]);
  const members = new Table({ caption: `Members of ${name}`, key: (it) => it.id, columns: memberColumns });
  const nobody = make("p", { class: "empty" }, "It has no members.");
  const table = new Table({ caption: `Partitions of ${name}`, key: (it) => `${it.topic}/${it.partition}`, columns: progressColumns });
  const listing = new Listing({
    path: "group", parameters: () => ({ name, from: parameters.from }), table, noun: ["partition", "partitions"],
    onPage: (from) => navigate("group", [name], { from: from || undefined }), empty: () => "It has committed nothing and reads nothing.",
  });
  listing.pick = (answer) => {
    figures.show(answer);
    showState(answer.state);
    members.show(answer.who.slice(0, PAGE_LINES));
    nobody.hidden = answer.who.length > 0;
    members.root.hidden = answer.who.length === 0;
    return answer.partitions;
  };
  fill(content, heading(name, state), figures.root, panel("Partitions", null, listing.root), panel("Members", null, members.root, nobody));
  return {
    title: name,
    update(now) { parameters = now; listing.again(); },
    stop: () => listing.stop(),
  };
}
