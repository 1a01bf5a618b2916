// The frame around the views: which one the address names, the state of the cluster, and whether all of it is of now.

const VIEWS = {
  overview: overviewView,
  topics: topicsView,
  topic: topicView,
  partitions: partitionsView,
  groups: groupsView,
  group: groupView,
  records: recordsView,
};
/** The entry of the navigation that a view belongs to. */
const BELONGS = { topic: "topics", group: "groups" };

/** The cluster as it was told last, and who wants to know. */
const live = {
  cluster: null,
  watchers: new Set(),
  watch(watcher) {
    this.watchers.add(watcher);
    if (this.cluster) watcher(this.cluster);
  },
  forget(watcher) {
    this.watchers.delete(watcher);
  },
  tell(cluster) {
    this.cluster = cluster;
    for (const watcher of this.watchers) watcher(cluster);
  },
};

function parseAddress() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  let parts = [];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    // An address that was cut off in the middle of a character leads to the overview.
  }
  let [view = "overview", ...rest] = parts;
  if (view === "nodes" || !Object.hasOwn(VIEWS, view)) view = "overview";
  return { view, parts: rest, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

/** Goes to a view. Small changes, such as of a search, take the place of the address before. */
function navigate(view, parts, parameters, isSmall = false) {
  const to = address(view, parts, parameters);
  if (to === location.hash) return;
  if (isSmall) {
    history.replaceState(null, "", to);
    follow();
  } else {
    location.hash = to;
  }
}

let shown = null;

/** Shows what the address names. The same view with other parameters stays, so that a field keeps its focus. */
function follow() {
  const route = parseAddress();
  const name = JSON.stringify([route.view, route.parts]);
  if (shown?.name === name) {
    shown.view.update(route.parameters);
    return;
  }
  const isFirst = shown === null;
  shown?.view.stop();
  const content = document.getElementById("content");
  const view = VIEWS[route.view](content, route);
  shown = { name, view };
  setTitle();
  for (const entry of document.querySelectorAll("nav a")) {
    if (entry.dataset.view === (BELONGS[route.view] ?? route.view)) entry.setAttribute("aria-current", "page");
    else entry.removeAttribute("aria-current");
  }
  if (!isFirst) {
    content.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function setTitle() {
  const mark = freshness.lostAt !== null ? "\u2716 " : live.cluster && live.cluster.health !== "healthy" ? "\u25b2 " : "";
  document.title = `${mark}${shown ? `${shown.view.title} \u2013 ` : ""}Ringmain`;
}

/** Says since when what is shown is not of now; announced once, when it begins. */
function showFreshness() {
  const isStale = freshness.lostAt !== null;
  document.body.classList.toggle("is-stale", isStale);
  document.body.classList.toggle("is-live", !isStale && freshness.heardAt !== null);
  const note = document.getElementById("stale-note");
  const since = freshness.heardAt === null ? null : clock(freshness.heardAt);
  const text = !isStale ? "" : since === null
    ? "This node does not answer. The page tries again by itself."
    : `This node has not answered since ${since}: what you see is as of then. The page tries again by itself.`;
  if (note.textContent !== text) note.textContent = text;
  note.hidden = !isStale;
  document.getElementById("fresh-text").textContent = isStale ? (since ? `stale since ${since}` : "no answer") : freshness.heardAt === null ? "connecting" : "live";
  setTitle();
}

function showWhere(cluster) {
  const parts = [cluster.is_alone ? "a node on its own" : cluster.cluster_id, `node ${cluster.node_id}`, cluster.version];
  const where = document.getElementById("where");
  where.textContent = parts.join(" \u00b7 ");
  where.title = `Cluster ${cluster.cluster_id}`;
}

// A link to the content is no view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content").focus();
});
freshness.watchers.add(showFreshness);
live.watch(showWhere);
live.watch(setTitle);
addEventListener("hashchange", follow);
const clusterPoll = new Poll("cluster", () => ({}), (cluster) => live.tell(cluster));
// Whoever comes back to the page, or to the network, wants it to be of now.
document.addEventListener("visibilitychange", () => { if (!document.hidden) clusterPoll.turn(); });
addEventListener("online", () => clusterPoll.turn());
follow();
