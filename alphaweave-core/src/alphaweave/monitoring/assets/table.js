// A table that sorts by a click on its head, filters by words, and shows one page at a time.
class Table {
  // columns: {name, values(row) for sorting, text(row), kind: "number" | "long" | "id", style(row), act(row)}
  constructor({ id, columns, count, empty, note, sort, flag }) {
    Object.assign(this, { columns, count, flag });
    this.rows = [];
    this.page = 0;
    this.size = 25;
    this.words = [];
    this.sort = sort;
    this.only = false;
    this.node = html("div", { id: `table-${id}` });
    this.node.setAttribute("role", "tabpanel");
    this.node.setAttribute("aria-labelledby", `tab-${id}`);
    if (!count) { this.node.append(html("p", { className: "empty", textContent: empty })); return; }
    this.node.append(this.tools(note), this.frame(id), this.pager());
    this.update();
  }

  tools(note) {
    const search = html("input", { type: "search", placeholder: "Filter, for example: sell SPY" });
    search.setAttribute("aria-label", "Filter");
    search.addEventListener("input", () => {
      this.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.page = 0;
      this.update();
    });
    this.found = html("span", { className: "found" });
    this.found.setAttribute("aria-live", "polite");
    const tools = html("div", { className: "tools" }, search);
    if (this.flag?.count) {
      const box = html("input", { type: "checkbox" });
      box.addEventListener("change", () => { this.only = box.checked; this.page = 0; this.update(); });
      tools.append(html("label", {}, box, this.flag.name));
    }
    tools.append(this.found);
    return note ? html("div", {}, html("p", { className: "help", textContent: note }), tools) : tools;
  }

  frame(id) {
    this.heads = this.columns.map((column, at) => {
      const button = html("button", { type: "button", textContent: column.name });
      button.addEventListener("click", () => {
        const [key, down] = this.sort;
        this.sort = [at, key === at ? !down : column.kind === "number" || column.time === true];
        this.page = 0;
        this.update();
      });
      const head = html("th", { scope: "col", className: column.kind ?? "" }, button);
      return head;
    });
    this.body = html("tbody");
    const table = html("table", { className: "records" }, html("thead", {}, html("tr", {}, ...this.heads)), this.body);
    const scroll = html("div", { className: "scroll", tabIndex: 0 }, table);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Table of ${id}`);
    return scroll;
  }

  pager() {
    const turn = (name, label, to) => {
      const button = html("button", { type: "button", className: "quiet", textContent: name });
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => { this.page = to(); this.update(); });
      return button;
    };
    this.back = [turn("«", "First page", () => 0), turn("‹", "Previous page", () => this.page - 1)];
    this.on = [turn("›", "Next page", () => this.page + 1), turn("»", "Last page", () => this.pages - 1)];
    this.where = html("span", { className: "where" });
    const sizes = html("select", {}, ...[25, 50, 100, 500].map((size) => html("option", { value: size, textContent: size })));
    sizes.addEventListener("change", () => { this.size = Number(sizes.value); this.page = 0; this.update(); });
    this.pager_ = html("div", { className: "pager" }, html("label", {}, "Rows ", sizes), ...this.back, this.where, ...this.on);
    return this.pager_;
  }

  get pages() { return Math.max(1, Math.ceil(this.rows.length / this.size)); }

  matching() {
    const rows = [];
    for (let row = 0; row < this.count; row += 1) {
      if (this.only && !this.flag.holds(row)) continue;
      if (this.words.length) {
        this.texts ??= [];
        const text = (this.texts[row] ??= this.columns.map((column) => column.text(row)).join("\n").toLowerCase());
        if (!this.words.every((word) => text.includes(word))) continue;
      }
      rows.push(row);
    }
    return rows;
  }

  sorted(rows) {
    const [at, down] = this.sort;
    const { values } = this.columns[at];
    const keyed = rows.map((row) => [values(row), row]);
    const way = down ? -1 : 1;
    keyed.sort(([a, i], [b, j]) => {
      // What is missing comes last, whichever way the table is sorted.
      if (!known(a) || !known(b)) return known(b) - known(a) || i - j;
      return a < b ? -way : a > b ? way : (i - j) * way;
    });
    return keyed.map(([, row]) => row);
  }

  update() {
    this.rows = this.sorted(this.matching());
    this.page = Math.max(0, Math.min(this.page, this.pages - 1));
    const start = this.page * this.size;
    const shown = this.rows.slice(start, start + this.size);
    this.body.replaceChildren(...shown.map((row) => this.line(row)));
    this.heads.forEach((head, at) => {
      const [key, down] = this.sort;
      head.setAttribute("aria-sort", key !== at ? "none" : down ? "descending" : "ascending");
    });
    const all = this.rows.length === this.count;
    this.found.textContent = all ? `${grouped(this.count, 0)} rows` : `${grouped(this.rows.length, 0)} of ${grouped(this.count, 0)} rows`;
    this.where.textContent = shown.length ? `${grouped(start + 1, 0)}–${grouped(start + shown.length, 0)}` : "None";
    this.back.forEach((button) => { button.disabled = this.page === 0; });
    this.on.forEach((button) => { button.disabled = this.page >= this.pages - 1; });
    this.pager_.hidden = this.count <= 25;
  }

  line(row) {
    return html("tr", {}, ...this.columns.map((column) => {
      const text = column.text(row);
      const cell = html("td", { className: [column.kind, column.style?.(row)].filter(Boolean).join(" ") });
      if (column.kind === "id") cell.title = text;
      if (column.act) {
        const button = html("button", { type: "button", className: "link", textContent: text, title: "Show on the chart" });
        button.addEventListener("click", () => column.act(row));
        cell.append(button);
      } else {
        cell.textContent = text;
      }
      return cell;
    }));
  }
}
