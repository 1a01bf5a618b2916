// Lists: a table whose cells change in place, so that neither focus nor place is lost while the numbers move.
//
// However many lines there are, the node is asked for a page of them at a time, and only a page is in the document.

const PAGE_LINES = 100;

/**
 * A table. A column is { label, name, kind, sort, cell }: `cell` makes the contents of a line, `of` what they depend on
 * (the line, if it is not given). A line is known by `key`.
 */
class Table {
  constructor({ caption, columns, key, sort = null, onSort = null }) {
    Object.assign(this, { columns, key, rows: new Map(), onSort });
    this.heads = columns.map((column) => {
      const head = make("th", { scope: "col", role: "columnheader", class: column.kind });
      if (column.sort && onSort) {
        append(head, [make("button", { class: "sort", type: "button", onclick: () => onSort(this.next(column)) }, column.label)]);
      } else {
        append(head, [column.label]);
      }
      return head;
    });
    this.body = make("tbody", { role: "rowgroup" });
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, this.heads));
    this.root = make("div", { class: "scroll" }, make("table", { class: "cards", role: "table" }, make("caption", { class: "hidden" }, caption), head, this.body));
    this.sorted(sort);
  }

  /** The order after a click: the column's own first, then the other way around. */
  next(column) {
    const [first, second] = column.sort;
    return this.sort === first ? second : first;
  }

  sorted(sort) {
    this.sort = sort;
    this.columns.forEach((column, index) => {
      const is = column.sort?.includes(sort);
      if (is) this.heads[index].setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      else this.heads[index].removeAttribute("aria-sort");
    });
  }

  show(lines) {
    const seen = new Set();
    let place = this.body.firstElementChild;
    for (const line of lines) {
      const key = String(this.key(line));
      if (seen.has(key)) continue;
      seen.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = this.row();
        this.rows.set(key, row);
      }
      row.slots.forEach((update, index) => update(this.columns[index].of ? this.columns[index].of(line) : line, line));
      if (row.element !== place) this.body.insertBefore(row.element, place);
      else place = place.nextElementSibling;
    }
    for (const [key, row] of this.rows) {
      if (!seen.has(key)) {
        row.element.remove();
        this.rows.delete(key);
      }
    }
  }

  row() {
    const cells = this.columns.map((column, index) =>
      index === 0
        ? make("th", { scope: "row", role: "rowheader", class: column.kind })
        : make("td", { role: "cell", class: column.kind, "data-label": column.label }));
    const slots = cells.map((cell, index) => {
      let before;
      return (of, line) => {
        const now = JSON.stringify(of);
        if (now === before) return;
        before = now;
        fill(cell, this.columns[index].cell(line));
      };
    });
    return { element: make("tr", { role: "row" }, cells), slots };
  }
}

/** A page of a list: the table, how many there are, and the way to the others. */
class Listing {
  constructor({ path, parameters, table, empty, onPage, noun }) {
    Object.assign(this, { table, empty, noun, from: 0 });
    this.count = make("span", { role: "status" }, "");
    this.earlier = make("button", { class: "do", type: "button", onclick: () => onPage(Math.max(0, this.from - PAGE_LINES)) }, "Previous");
    this.later = make("button", { class: "do", type: "button", onclick: () => onPage(this.from + PAGE_LINES) }, "Next");
    this.nothing = make("p", { class: "empty" }, "Loading\u2026");
    this.pager = make("div", { class: "pager" }, this.count, make("span", { class: "more" }, this.earlier, this.later));
    table.root.hidden = true;
    this.pager.hidden = true;
    this.root = make("div", {}, table.root, this.nothing, this.pager);
    this.poll = new Poll(path, () => ({ count: PAGE_LINES, ...parameters() }), (page) => this.show(page), (error) => this.refuse(error));
  }

  show(answer) {
    const page = this.pick ? this.pick(answer) : answer;
    this.from = page.from;
    this.table.show(page.lines);
    const isEmpty = page.lines.length === 0;
    this.table.root.hidden = isEmpty;
    this.nothing.hidden = !isEmpty;
    this.nothing.className = "empty";
    this.nothing.textContent = this.empty();
    const last = page.from + page.lines.length;
    this.count.textContent = isEmpty ? "" : page.matching > page.lines.length
      ? `${whole(page.from + 1)}\u2013${whole(last)} of ${counted(page.matching, ...this.noun)}`
      : counted(page.matching, ...this.noun);
    this.pager.hidden = isEmpty && page.from === 0;
    this.earlier.hidden = this.later.hidden = page.matching <= page.lines.length && page.from === 0;
    this.earlier.disabled = page.from === 0;
    this.later.disabled = last >= page.matching;
  }

  refuse(error) {
    this.table.root.hidden = true;
    this.pager.hidden = true;
    this.nothing.hidden = false;
    this.nothing.textContent = error.message;
  }

  again() {
    this.poll.turn();
  }

  stop() {
    this.poll.stop();
  }
}
