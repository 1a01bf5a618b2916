// Records of a partition: from the newest, the oldest, an offset or a time; narrowed to those that have a text in them.
//
// What must hold: whatever the records are, they are shown as text; nothing is asked for before somebody says so, but for
// what an address says.

const RECORD_COUNTS = ["20", "50", "100", "500"];
const WHOLE_BYTES = 1 << 20;
const SEARCHED = 100000;

function recordsView(content, route) {
  let parameters = route.parameters;
  let answer = null;
  let asked = 0;
  const stopped = new AbortController();
  const topic = make("input", { value: route.parts[0] ?? "", required: true, autocomplete: "off", spellcheck: "false", list: "topic-names" });
  const names = make("datalist", { id: "topic-names" });
  const partition = make("input", { type: "number", min: "0", value: route.parts[1] ?? "0" });
  const at = make("select", {}, options([["newest", "Newest"], ["oldest", "Oldest"], ["offset", "From offset"], ["time", "From time"]], parameters.at ?? "newest"));
  const offset = make("input", { type: "number", min: "0", value: parameters.offset ?? "0" });
  const time = make("input", { type: "datetime-local", step: "1", value: parameters.time ?? "" });
  const contains = make("input", { type: "search", value: parameters.contains ?? "", placeholder: "Text in key, value or header", autocomplete: "off", spellcheck: "false" });
  const count = make("select", {}, options(RECORD_COUNTS.map((it) => [it, it]), parameters.count ?? "50"));
  const offsetField = field("Offset", offset);
  const timeField = field("Time (yours)", time);
  const follow = make("input", { type: "checkbox" });
  const form = make("form", { class: "tools", role: "search" },
    field("Topic", topic, "grow"), names, field("Partition", partition), field("Begin", at), offsetField, timeField,
    field("Contains", contains, "grow"), field("Records", count), make("button", { class: "do main", type: "submit" }, "Show"),
    make("label", { class: "check" }, follow, "Follow"));
  const status = make("p", { class: "empty", role: "status" });
  const problem = make("p", { class: "problem", role: "status", hidden: true });
  const table = new RecordTable((it) => loadWhole(it));
  const older = make("button", { class: "do", type: "button" }, "Older");
  const newer = make("button", { class: "do", type: "button" }, "Newer");
  const range = make("span", {});
  const pager = make("div", { class: "pager", hidden: true }, range, make("span", { class: "more" }, older, newer));
  const title = make("h1", { id: "title" }, "Records");

  const showFields = () => {
    offsetField.hidden = at.value !== "offset";
    timeField.hidden = at.value !== "time";
  };
  at.addEventListener("change", showFields);
  showFields();
  topic.addEventListener("input", settled(async () => {
    try {
      const found = await ask("topics", { search: topic.value, count: 20, internal: 1 }, stopped.signal);
      fill(names, found.lines.map((it) => make("option", { value: it.name })));
    } catch {
      // Names are only offered; the field takes any.
    }
  }));

  const chosen = () => ({
    at: at.value,
    offset: at.value === "offset" ? offset.value || "0" : undefined,
    time: at.value === "time" ? time.value : undefined,
    contains: contains.value,
    count: count.value === "50" ? undefined : count.value,
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const now = { ...chosen(), again: undefined };
    const to = address("records", [topic.value.trim(), partition.value || "0"], now);
    if (to === location.hash) read();
    else location.hash = to;
  });
  const goTo = (first) => navigate("records", route.parts, { ...parameters, at: "offset", offset: Math.max(0, first), time: undefined });
  older.addEventListener("click", () => goTo(answer.from - Number(count.value)));
  newer.addEventListener("click", () => goTo(answer.next));

  const question = () => {
    const wanted = { topic: route.parts[0], partition: route.parts[1] ?? "0", count: parameters.count ?? "50", contains: parameters.contains };
    if (parameters.at === "oldest") wanted.offset = "0";
    if (parameters.at === "offset") wanted.offset = parameters.offset ?? "0";
    if (parameters.at === "time" && parameters.time) wanted.time = new Date(parameters.time).getTime();
    // Nobody can look for a text backwards: what is newest is looked through from well before the end.
    if (parameters.contains && (parameters.at ?? "newest") === "newest") wanted.last = SEARCHED;
    return wanted;
  };

  async function read() {
    const number = (asked += 1);
    if (!route.parts[0]) {
      status.textContent = "Choose a topic. \u2018Browse\u2019 in the lists of topics and partitions leads here too.";
      return;
    }
    if (!follow.checked) status.textContent = "Reading\u2026";
    const { told, error } = await ask("records", question(), stopped.signal).then((told) => ({ told }), (error) => ({ error }));
    if (stopped.signal.aborted || number !== asked) return;
    if (told) {
      show(told);
      return;
    }
    problem.hidden = false;
    problem.textContent = error instanceof Refused ? error.message : "This node does not answer. Try again.";
    status.hidden = true;
  }

  function show(told) {
    answer = told;
    problem.hidden = told.problem === null;
    problem.textContent = told.problem ?? "";
    table.show(told.records, told);
    table.root.hidden = told.records.length === 0;
    status.hidden = told.records.length > 0;
    status.textContent = told.start === told.high_watermark ? "The partition is empty."
      : parameters.contains ? `None of the ${counted(told.scanned, "record", "records")} from offset ${whole(told.from)} on has that text. \u2018Newer\u2019 goes on.`
      : "There is nothing here yet.";
    range.textContent = `Offsets ${whole(told.from)}\u2013${whole(Math.max(told.from, told.next - 1))} of ${whole(told.start)}\u2013${whole(Math.max(told.start, told.high_watermark - 1))}; led by node ${told.leader}`;
    pager.hidden = told.start === told.high_watermark;
    older.disabled = told.from <= told.start;
    newer.disabled = told.next >= told.high_watermark;
  }

  async function loadWhole(record) {
    return ask("records", { topic: answer.topic, partition: answer.partition, offset: record.offset, count: 1, bytes: WHOLE_BYTES }, stopped.signal);
  }

  const timer = setInterval(() => {
    if (follow.checked && !document.hidden && (parameters.at ?? "newest") === "newest") read();
  }, PERIOD_MS);
  const setHead = () => { title.textContent = route.parts[0] ? `Records of ${route.parts[0]} / ${route.parts[1] ?? "0"}` : "Records"; };
  setHead();
  table.root.hidden = true;
  fill(content, make("div", { class: "head" }, title, make("span", { class: "soft" }, "Read only: looking commits nothing and joins no group.")),
    make("section", { class: "panel", "aria-labelledby": "title" }, form, problem, table.root, status, pager));
  read();
  return {
    title: route.parts[0] ? `${route.parts[0]} / ${route.parts[1] ?? "0"}` : "Records",
    update(now) {
      parameters = now;
      at.value = now.at ?? "newest";
      offset.value = now.offset ?? "0";
      time.value = now.time ?? "";
      contains.value = now.contains ?? "";
      count.value = now.count ?? "50";
      showFields();
      read();
    },
    stop() {
      clearInterval(timer);
      stopped.abort();
    },
  };
}

/** Bytes in a line of the list: text, or digits, or nothing. */
function preview(bytes) {
  if (bytes === null) return make("span", { class: "none" }, "null");
  if (bytes.bytes === 0) return make("span", { class: "none" }, "empty");
  const text = bytesText(bytes);
  const parts = [make("span", { class: "bytes" }, text.length > 400 ? `${text.slice(0, 400)}\u2026` : text)];
  if (bytes.hex !== undefined || bytes.is_cut || bytes.bytes > 400) parts.push(make("span", { class: "sub" }, `${bytes.hex !== undefined ? "binary, " : ""}${size(bytes.bytes)}`));
  return parts;
}

/** All that is told of bytes. */
function wholeBytes(label, bytes) {
  if (bytes === null) return make("div", {}, make("h3", {}, label), make("span", { class: "none" }, "null"));
  const text = bytes.text === undefined ? bytesText(bytes) : readable(bytes.text);
  const kind = bytes.text === undefined ? "binary" : text === bytes.text ? "text" : "JSON";
  const cut = bytes.is_cut ? `, the first ${size((bytes.text?.length ?? bytes.hex.length / 2))} are shown` : "";
  return make("div", {}, make("h3", {}, `${label} \u2014 ${kind}, ${size(bytes.bytes)}${cut}`), make("pre", { tabindex: "0" }, text));
}

/** The records, each of which opens. */
class RecordTable {
  constructor(loadWhole) {
    this.loadWhole = loadWhole;
    this.open = new Set();
    this.body = make("tbody", { role: "rowgroup" });
    const heads = [["Offset", "number"], ["Time", ""], ["Key", ""], ["Value", ""], ["Headers", "number"]];
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, heads.map(([label, kind]) => make("th", { scope: "col", role: "columnheader", class: kind }, label))));
    this.root = make("div", { class: "scroll" }, make("table", { class: "cards records", role: "table" }, make("caption", { class: "hidden" }, "Records"), head, this.body));
  }

  show(records, where) {
    const now = JSON.stringify([where.topic, where.partition, records]);
    if (now === this.before) return;
    this.before = now;
    const of = `${where.topic}/${where.partition}`;
    if (of !== this.of) this.open.clear();
    this.of = of;
    fill(this.body, records.map((record) => this.rows(record)));
  }

  rows(record) {
    const details = make("td", { role: "cell", colspan: "5", class: "full" });
    const opened = make("tr", { role: "row", class: "open-row", hidden: true }, details);
    const button = make("button", { class: "record", type: "button", "aria-expanded": "false", "aria-label": `Offset ${record.offset}, show all of it` }, whole(record.offset));
    const toggle = (isOpen) => {
      opened.hidden = !isOpen;
      button.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) {
        this.open.add(record.offset);
        this.detail(details, record);
      } else {
        this.open.delete(record.offset);
      }
    };
    button.addEventListener("click", () => toggle(opened.hidden));
    const cells = [["Time", "wide", moment(record.timestamp)], ["Key", "", preview(record.key)], ["Value", "full", preview(record.value)], ["Headers", "number", whole(record.headers.length)]];
    const row = make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader", class: "number" }, button),
      cells.map(([label, kind, content]) => make("td", { role: "cell", "data-label": label, class: kind }, content)));
    if (this.open.has(record.offset)) toggle(true);
    return [row, opened];
  }

  detail(place, record) {
    const headers = record.headers.map((it) => wholeBytes(`Header ${bytesText(it.key)}`, it.value));
    const isCut = [record.key, record.value].some((bytes) => bytes?.is_cut);
    const more = make("button", { class: "do", type: "button" }, "Load more of it");
    more.addEventListener("click", async () => {
      more.disabled = true;
      try {
        const told = await this.loadWhole(record);
        if (told.records[0]?.offset === record.offset) this.detail(place, told.records[0]);
        else more.textContent = "It is gone";
      } catch (error) {
        more.textContent = error.message;
      }
    });
    const when = `${moment(record.timestamp)} (${record.timestamp})`;
    fill(place, make("div", { class: "whole" }, make("p", { class: "soft" }, `Offset ${record.offset}, ${when}`),
      wholeBytes("Key", record.key), wholeBytes("Value", record.value), headers, isCut && record.value.bytes <= WHOLE_BYTES * 8 ? make("p", {}, more) : null));
  }
}
