// The browser of a study's scored videos: filters, a table with virtual rows, one video opened.
// render(element, data, hooks): data is what harlib.study.widgets.video_data.packed gives, as
// base64 or bytes. hooks, all optional:
//   address   true: the filters stand behind the # of the page's address, and follow it
//   clips     {video's place: its mp4 as base64}, as far as they are in the page
//   preview   async (video, track) => an address of its clip or null, instead; track is "clip" or
//             "cam", where the network looked
//   marks     {marked: {video's place: the right category}, said: a sentence, drop: what leaves a
//             video out, or ""}: what is marked as wrong label so far; with it labels can be marked
//   onMark    async (video, category) => the marks as they are then
//   onUndo    async () => the same

const KEYS = ["run", "true", "called", "right", "group", "sure", "find", "suspect", "agree", "sort", "video", "of", "split"];
const OF_ITS_RUN = ["true", "called", "right", "group", "sure"];  // beside a run: of the videos that it scored
const SORTS = {
  loss: "loss", sure: "probability", agree: "agreement of the runs", suspect: "suspicion",
  true: "true category", called: "called", id: "name", group: "group", length: "length",
};
const KINDS = { f4: Float32Array, u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array };
const UNREAD = -1;
const NOTHING = "(nothing)";  // called so where none of several labels is given
const own = Math.random().toString(36).slice(2);  // JupyterLab loads this once a browser
let drawn = 0;  // browsers of this module
const FOLDED = ["group", "sure", "suspect", "agree", "sort"];  // filters behind a fold there
const LONG = 25;  // letters of a name that are shown
const FEW = 12;  // categories up to which all probabilities stand open

const percent = (p) => Number.isNaN(p) ? "–" : `${(100 * p).toFixed(p > 0.999 && p < 1 ? 2 : 1)} %`;
const many = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

const shortened = (id) => id.length > LONG ? `${id.slice(0, 11)}…${id.slice(-13)}` : id;
const broken = (text) => text.split(/(?<=_)/).flatMap((part, k) => k ? [el("wbr"), part] : [part]);

function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function unpack(packed) {
  let bytes = packed;
  if (typeof packed === "string") {
    const text = atob(packed.trim());
    bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const array = ([kind, offset, count]) => new KINDS[kind](buffer, start + offset, count);
  for (const [name, place] of Object.entries(data.columns)) data.columns[name] = array(place);
  for (const run of data.runs)
    for (const [name, place] of Object.entries(run.columns)) run.columns[name] = array(place);
  return data;
}

async function render(element, packed, hooks = {}) {
  const data = await unpack(packed);
  return new Browser(element, data, hooks);
}

class Browser {
  constructor(element, data, hooks) {
    Object.assign(this, { element, data, hooks, count: data.id.length, rows: [], current: 0 });
    this.marks = hooks.marks ?? { marked: {} };
    this.runNames = data.runs.map((run) => run.name);
    this.texts = data.id.map((id, i) => [
      id, data.file[i], data.groups[data.columns.group[i]], data.answers[data.columns.true[i]],
    ].join("\n").toLowerCase());
    this.orders = {};
    this.state = this.asked();
    this.build();
    this.update(true);
    if (hooks.address) {
      window.addEventListener("hashchange", () => {
        if (this.written === location.hash) return;
        this.state = this.asked();
        this.update(true);
      });
    }
  }

  // ---- the address

  asked() {
    const state = Object.fromEntries(KEYS.map((key) => [key, ""]));
    const text = this.hooks.address ? location.hash.slice(1) : "";
    for (const pair of text ? text.split("&") : []) {
      const [key, value = ""] = pair.split("=");
      let said = value;
      try { said = decodeURIComponent(value); } catch { /* as it stands */ }
      if (KEYS.includes(key)) state[key] = said;
    }
    return state;
  }

  address() {
    const said = KEYS.filter((key) => this.state[key] !== "");
    return said.map((key) => `${key}=${encodeURIComponent(this.state[key])}`).join("&");
  }

  // ---- the numbers

  get run() {
    const name = this.data.other_names[this.state.run] ?? this.state.run;
    const place = this.runNames.indexOf(name);
    return place >= 0 ? place : this.runNames.indexOf(this.data.best);
  }

  key(name) {  // what a column is sorted by: numbers in the order of the videos
    const { columns } = this.data, own = this.data.runs[this.run].columns;
    if (name === "id") return ranks(this.data.id);
    if (name === "group") {
      const order = ranks(this.data.groups);
      return Float64Array.from(columns.group, (group) => order[group]);
    }
    return {
      loss: own.loss, sure: own.probability, called: own.called, agree: columns.agreement,
      true: columns.true, length: columns.seconds,
      suspect: Float64Array.from(columns.suspicion, (place) => place || NaN),
    }[name];
  }

  order() {  // all videos as the chosen column sorts them, kept: filters then only leave out
    const { sort } = this.state, asked = sort.replace(/^-/, "");
    const name = asked in SORTS ? asked : "loss";
    const down = sort === "" || !(asked in SORTS) || sort.startsWith("-");
    return this.orders[`${this.run} ${name} ${down}`] ??= (() => {
      const key = this.key(name), sign = down ? -1 : 1;
      return Int32Array.from(this.texts.keys()).sort((a, b) => {
        const x = key[a], y = key[b];
        if (x === y) return a - b;
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
        return sign * (x - y);  // what is not known comes last, up or down
      });
    })();
  }

  chosen() {
    const { state, data } = this, { columns } = data, own = data.runs[this.run].columns;
    const place = (text) => data.answers.indexOf(text);
    const wanted = { true: place(state.true), called: place(state.called), group: data.groups.indexOf(state.group) };
    if (wanted.called < 0) wanted.called = state.called === data.unread ? UNREAD : NaN;  // NaN: none
    // of several labels one stands for all sets that it is in
    const has = data.several && new Set([...data.answers.keys()].filter((k) =>
      k === wanted.true || data.answers[k].split("|").includes(state.true)));
    const right = state.right === "yes" ? 1 : 0, find = state.find.toLowerCase().trim();
    const [low, high] = bounds(state.sure);
    const part = data.runs[this.run].folds.indexOf(state.run);
    const counted = state.run !== "" && OF_ITS_RUN.some((key) => state[key] !== "");
    const its = (i) => own.listed[i] && (part < 0 || own.fold[i] === part);
    return Array.from(this.order().filter((i) =>
      (!counted || its(i))
      && (state.true === "" || (has ? has.has(columns.true[i]) : columns.true[i] === wanted.true))
      && (state.called === "" || (own.listed[i] && own.called[i] === wanted.called))
      && (state.right === "" || (own.listed[i] && own.right[i] === right))
      && (state.group === "" || columns.group[i] === wanted.group)
      && (state.suspect !== "yes" || columns.suspicion[i])
      && (state.suspect !== "marked" || i in this.marks.marked)
      && (state.agree !== "no" || columns.agreement[i] < 1)
      && (state.sure === "" || (own.probability[i] >= low && own.probability[i] <= high))
      && (!find || this.texts[i].includes(find))));
  }

  // ---- the page

  build() {
    const { data } = this;
    const labelled = (name, label, field) => {
      this.fields[name] = field;
      field.id = `videos-${own}-${drawn}-${name}`;
      return el("div", { class: "field" }, el("label", { htmlFor: field.id }, label), field);
    };
    drawn += 1;
    const select = (name, label, options) => {
      const field = el("select", { onchange: () => this.set({ [name]: field.value }) });
      for (const [value, text] of options) field.append(el("option", { value }, text));
      return labelled(name, label, field);
    };
    const input = (name, label, options) => {
      const field = el("input", { autocomplete: "off", spellcheck: false, ...options,
        oninput: () => this.set({ [name]: field.value }) });
      return labelled(name, label, field);
    };
    this.fields = {};
    const named = (list) => [["", "any"], ...list.map((text) => [text, text])];
    const sets = [...new Set(data.columns.true)].sort((a, b) => a - b).map((i) => data.answers[i]);
    const truths = data.several ? [...new Set([...data.categories, ...sets])] : sets;
    const grouped = data.groups.length < this.count;
    const usual = el("div", { class: "filters" },
      input("find", "Find in name, file, group, category", { type: "search" }),
      select("run", "Run", data.runs.map((run) => [run.name, run.name])),
      select("right", "Right or wrong", [["", "any"], ["no", "wrong"], ["yes", "right"]]),
      select("true", "True category", named(truths)),
      select("called", "Called", named(data.answers)),
    );
    const rarer = el("div", { class: "filters" },
      grouped ? select("group", "Group", named(data.groups)) : null,
      select("sure", "Probability of the call", [["", "any"], ["90-100", "90 % and more"],
        ["50-90", "50 to 90 %"], ["0-50", "up to 50 %"]]),
      data.several && !this.hooks.marks ? null : select("suspect", "Label", [["", "any"],
        ...(data.several ? [] : [["yes", "suspected to be wrong"]]),
        ...(this.hooks.marks ? [["marked", "marked as wrong"]] : [])]),
      data.runs.length > 1 ? select("agree", "The runs", [["", "any"], ["no", "disagree"]]) : null,
      select("sort", "Order", Object.entries(SORTS).flatMap(([name, text]) =>
        [[`-${name}`, `${text} ↓`], [name, `${text} ↑`]])),
    );
    this.foldSaid = el("summary");
    this.fold = el("details", { class: "rarer" }, this.foldSaid, rarer);
    const apart = data.columns.agreement.reduce((sum, share) => sum + (share < 1), 0);
    this.presets = [];
    const link = (text, wanted) => {
      const state = { ...Object.fromEntries(KEYS.map((k) => [k, ""])), ...wanted };
      const button = el("button", { type: "button", onclick: () => this.set({ ...state, run: this.state.run }) }, text);
      this.presets.push([button, state]);
      return button;
    };
    const views = el("p", { class: "presets" },
      link("Surest mistakes", { right: "no", sort: "-sure" }),
      data.suspects ? link(`Suspected labels (${data.suspects})`, { suspect: "yes", sort: "suspect" }) : null,
      apart ? link(`Runs disagree (${apart.toLocaleString("en")})`, { agree: "no", sort: "agree" }) : null,
      link("All videos", {}),
    );
    this.said = el("p", { class: "note said", role: "status" });
    this.markSaid = el("p", { class: "note", role: "status" }, this.marks.said ?? "");
    if (this.hooks.marks) this.element.addEventListener("keydown", (event) => this.shortcut(event));
    this.head = el("tr");
    this.body = el("tbody");
    this.table = el("table", { "aria-label": "Scored videos" }, el("thead", {}, this.head), this.body);
    this.box = el("div", { class: "rows", tabIndex: 0, role: "region", "aria-label": "Scored videos",
      onscroll: () => this.draw(), onkeydown: (event) => this.press(event) }, this.table);
    this.panel = el("section", { class: "panel", "aria-label": "The opened video", hidden: true,
      onkeydown: (event) => { if (event.key === "Escape") this.close(); } });
    const remarks = data.remarks.map((text) => el("p", { class: "note" }, text));
    this.element.classList.add("videos");
    const filters = el("form", { "aria-label": "Filters", onsubmit: (e) => e.preventDefault() }, usual, this.fold);
    const printed = el("p", { class: "note printed" }, "Printed are the rows around those in view; on a screen, and in each run's predictions.csv, are all.");
    const others = data.runs.length > 1 ? el("p", { class: "note others" }, "For the other runs turn the phone, or open a row.") : null;
    this.element.replaceChildren(views, filters, this.said, ...(others ? [others] : []), ...(this.hooks.marks ? [this.markSaid] : []),
      el("div", { class: "both" }, this.box, this.panel), printed, ...remarks);
    new ResizeObserver(() => this.draw()).observe(this.box);
    new ResizeObserver(() => this.folds()).observe(this.element);
    this.folds();
  }

  folds() {  // the rarer filters, where the page has become narrow or wide
    const narrow = this.element.clientWidth > 0 && getComputedStyle(this.foldSaid).display !== "none";
    if (narrow !== this.narrow) this.fold.open = !narrow;
    this.narrow = narrow;
  }

  set(changes) {
    Object.assign(this.state, changes);
    this.update(false);
  }

  update(opens) {
    const { state } = this;
    this.rows = this.chosen();
    const run = this.data.runs[this.run].folds.includes(state.run) ? state.run : this.runNames[this.run];
    for (const [name, field] of Object.entries(this.fields)) {
      const value = name === "run" ? run : name === "sort" ? state.sort || "-loss" : state[name];
      if (name === "find") { if (field.value !== value) field.value = value; continue; }
      if (![...field.options].some((option) => option.value === value)) {
        const text = name === "sure" ? value.replace("-", " to ") + " %" : value;
        field.append(el("option", { value }, text));  // asked for by the address
      }
      field.value = value;
    }
    for (const [button, wanted] of this.presets) {
      const pressed = KEYS.every((key) => key === "run" || key === "video" || state[key] === wanted[key]);
      button.setAttribute("aria-pressed", pressed);
    }
    const set = FOLDED.filter((name) => state[name] !== "").length;
    this.foldSaid.textContent = set ? `More filters and the order (${set} set)` : "More filters and the order";
    const wrong = this.rows.reduce((sum, i) => sum + (this.data.runs[this.run].columns.listed[i] && !this.data.runs[this.run].columns.right[i]), 0);
    this.said.textContent = `${this.rows.length.toLocaleString("en")} of ${many(this.count, "video")}; ` +
      `${this.data.runs[this.run].name} has ${many(wrong, "of them")} wrong.`.replace("of thems", "of them");
    const open = !this.panel.hidden && state.video !== "";
    this.current = open ? Math.max(0, this.rows.indexOf(this.opened)) : 0;
    this.box.scrollTop = 0;
    this.drawHead();
    this.draw(true);
    if (this.current) { this.reveal(this.current); this.draw(); }
    if (open && this.first !== this.run) this.show(this.opened);
    else if (open) this.panel.querySelector(".bar").replaceWith(this.bar(this.opened));
    if (this.hooks.address) this.write();
    if (opens && state.video !== "") this.openNamed();
    else if (state.video === "" && !this.panel.hidden) this.close();
  }

  write() {
    const text = this.address();
    this.written = text ? `#${text}` : "";
    if (location.hash === this.written) return;
    try {
      history.replaceState(null, "", this.written || location.pathname + location.search);
    } catch { /* too many in a short time for some browsers: the next one writes it */ }
  }

  columns() {  // the chosen run stands first
    const order = [this.run, ...this.data.runs.keys()].filter((run, i, all) => all.indexOf(run) === i);
    return [{ name: "id", text: "Video" }, { name: "true", text: "True category" },
      ...order.map((run, i) => ({ name: "sure", text: this.data.runs[run].name, run, more: i > 0 })),
      ...(this.data.runs.length > 1 ? [{ name: "agree", text: "Agreement", more: true }] : []),
      ...(this.data.lengths ? [{ name: "length", text: "Length", more: true }] : [])];
  }

  drawHead() {
    const sort = this.state.sort || "-loss", name = sort.replace(/^-/, "");
    this.head.replaceChildren(...this.columns().map((column) => {
      const own = column.name === name && (column.run === undefined || column.run === this.run);
      const press = () => {
        const first = column.name === "sure" || column.name === "length" ? `-${column.name}` : column.name;
        const next = own ? (sort.startsWith("-") ? name : `-${name}`) : first;
        this.set({ sort: next, ...(column.run === undefined || column.run === this.run ? {} : { run: this.runNames[column.run] }) });
        this.head.children[this.columns().findIndex((c) => c.name === column.name && c.run === column.run)].firstChild.focus();
      };
      const cell = el("th", { scope: "col", class: [column.more ? "more" : "", column.run === undefined && column.more ? "narrow" : ""].join(" ").trim() },
        el("button", { type: "button", onclick: press, title: column.run === undefined ? "" : this.data.runs[column.run].about }, ...broken(column.text)));
      if (own) cell.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      return cell;
    }));
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
  }

  get height() {  // of a row
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) || 46;
  }

  draw(anew = false) {  // the rows that can be seen, between two empty ones as tall as the others
    const { height } = this, most = parseFloat(getComputedStyle(this.box).maxHeight) || 600;
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - 5);
    const last = Math.min(this.rows.length, first + Math.ceil(Math.max(this.box.clientHeight, most) / height) + 11);
    if (!anew && this.drawn && this.drawn[0] === first && this.drawn[1] === last && this.drawn[2] === height) return;
    this.drawn = [first, last, height];
    const focused = this.body.contains(document.activeElement);
    const columns = this.columns();
    const gap = (rows) => rows ? [el("tr", { class: "gap", "aria-hidden": "true" },
      el("td", { colSpan: columns.length, style: `height:${rows * height}px` }))] : [];
    const shown = [];
    for (let place = first; place < last; place++) shown.push(this.row(place, columns));
    this.body.replaceChildren(...gap(first), ...shown, ...gap(this.rows.length - last));
    if (!this.rows.length) this.body.append(el("tr", {}, el("td", { colSpan: columns.length }, "No video is like this: take a filter away.")));
    if (focused) (this.body.querySelector("button[tabindex='0']") ?? this.box).focus({ preventScroll: true });
  }

  row(place, columns) {
    const i = this.rows[place], { data } = this, own = data.columns;
    const opened = !this.panel.hidden && this.opened === i;
    const cells = columns.map((column) => {
      if (column.name === "id") {
        const group = data.groups[own.group[i]], about = group !== data.id[i] ? group : data.file[i] || data.splits[own.split[i]];
        const plays = this.plays(i) ? el("span", { class: "plays", role: "img", "aria-label": "plays", title: "plays" }, "▶") : null;
        return el("td", { title: data.id[i] }, el("button", { type: "button", class: "name", "aria-label": data.id[i], tabIndex: place === this.current ? 0 : -1,
          onclick: () => { this.current = place; this.open(i, true); } }, ...broken(shortened(data.id[i]))),
          el("small", {}, plays, about));
      }
      if (column.name === "true") {
        const suspected = own.suspicion[i], marked = this.marks.marked[i];
        if (marked) return el("td", {}, el("s", {}, data.answers[own.true[i]]),
          el("small", { class: "doubt" }, marked === this.marks.drop ? "marked: left out" : `marked: ${marked}`));
        return el("td", {}, el("span", {}, data.answers[own.true[i]]),
          el("small", { class: suspected ? "doubt" : "" }, suspected ? `suspected: ${data.answers[own.suggested[i]]}` : ""));
      }
      if (column.run !== undefined) return this.call(data.runs[column.run].columns, i, column.more);
      if (column.name === "agree") return el("td", { class: "more" }, el("span", {}, percent(own.agreement[i]).replace(".0", "")));
      return el("td", { class: "more" }, el("span", {}, Number.isNaN(own.seconds[i]) ? "–" : `${own.seconds[i].toFixed(1)} s`));
    });
    const row = el("tr", { "aria-rowindex": place + 2, onclick: (event) => {
      if (event.target.closest("button")) return;
      this.current = place;
      this.open(i, true);
    } }, ...cells);
    if (opened) row.setAttribute("aria-current", "true");
    return row;
  }

  call(own, i, more) {
    const kind = more ? "more" : "";
    if (!own.listed[i]) return el("td", { class: kind }, el("small", {}, "not its video"));
    if (own.called[i] === UNREAD) return el("td", { class: `${kind} wrong` }, el("span", {}, "✗ could not be read"));
    const right = own.right[i];
    return el("td", { class: `${kind} ${right ? "right" : "wrong"}` },
      el("span", {}, `${right ? "✓" : "✗"} ${this.data.answers[own.called[i]]}`), el("small", {}, percent(own.probability[i])));
  }

  press(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.close();
    if (event.target.closest("thead")) return;
    if (event.key === "Enter" && event.target === this.box && this.rows.length) this.open(this.rows[this.current], true);
    if (step === undefined || !this.rows.length) return;
    event.preventDefault();
    const inside = event.target !== this.box;
    const from = this.panel.hidden ? this.current : this.beside(0);
    this.go(inside || step > 1 || step < 0 ? from + step : this.current);
  }

  go(place) {
    this.current = Math.min(this.rows.length - 1, Math.max(0, place));
    this.reveal(this.current);
    this.draw(true);
    this.body.querySelector("button[tabindex='0']")?.focus({ preventScroll: true });
    if (!this.panel.hidden) this.open(this.rows[this.current], false);
  }

  reveal(place) {
    const { height } = this, head = this.head.offsetHeight, top = place * height, room = this.box.clientHeight - head;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + height > this.box.scrollTop + room) this.box.scrollTop = top + height - room;
  }

  // ---- one video

  openNamed() {
    const { state, data } = this, own = data.columns;
    const asked = (i) => data.id[i] === state.video
      && (state.of === "" || data.answers[own.true[i]] === state.of)
      && (state.split === "" || data.splits[own.split[i]] === state.split);
    const place = this.rows.findIndex(asked);
    const i = place >= 0 ? this.rows[place] : data.id.findIndex((_, video) => asked(video));
    if (i < 0) {
      this.said.textContent += ` There is no video ${[state.video, state.of, state.split].filter((text) => text).join(", ")}.`;
      return;
    }
    if (place >= 0) { this.current = place; this.reveal(place); }
    this.open(i, false);
  }

  named(i) {  // a video in the address: by its name, and where others have the same by what tells it
    const { id, answers, splits, columns } = this.data;
    const more = id.indexOf(id[i]) !== id.lastIndexOf(id[i]);
    return { video: id[i], of: more ? answers[columns.true[i]] : "", split: more ? splits[columns.split[i]] : "" };
  }

  open(i, moves) {
    this.opened = i;
    Object.assign(this.state, this.named(i));
    if (this.hooks.address) this.write();
    this.panel.hidden = false;
    this.element.classList.add("opened");
    this.show(i);
    this.panel.scrollTop = 0;
    this.draw(true);
    if (moves) {
      const below = this.panel.getBoundingClientRect().top >= this.box.getBoundingClientRect().bottom - 5;
      if (below) { this.panel.querySelector("h2").focus(); this.panel.scrollIntoView({ block: "start" }); }
      else this.body.querySelector("button[tabindex='0']")?.focus({ preventScroll: true });
    }
  }

  show(i) {
    this.first = this.run;  // whose probabilities stand first
    this.panel.replaceChildren(...this.details(i));
  }

  close() {
    if (this.panel.hidden) return;
    this.panel.hidden = true;
    this.element.classList.remove("opened");
    this.panel.replaceChildren();
    Object.assign(this.state, { video: "", of: "", split: "" });
    if (this.hooks.address) this.write();
    this.reveal(this.current);
    this.draw(true);
    this.body.querySelector("button[tabindex='0']")?.focus({ preventScroll: true });
  }

  beside(step) {  // the row before or behind the opened video; of one that is filtered out, the first
    return this.rows.indexOf(this.opened) + step;
  }

  bar(i) {
    const turn = (step, text) => el("button", { type: "button", "data-step": String(step),
      disabled: !(this.beside(step) in this.rows), onclick: () => {
        this.go(this.beside(step));
        this.panel.querySelector(`[data-step='${step}']`)?.focus();
      } }, text);
    return el("div", { class: "bar" }, el("h2", { tabIndex: -1 }, this.data.id[i]), turn(-1, "Previous"), turn(1, "Next"),
      el("button", { type: "button", onclick: () => this.close() }, "Close"));
  }

  details(i) {
    const { data } = this, own = data.columns;
    const facts = [
      ["true", data.answers[own.true[i]]], ["file", data.file[i]],
      ["group", data.groups[own.group[i]] === data.id[i] ? "" : data.groups[own.group[i]]],
      ["length", Number.isNaN(own.seconds[i]) ? "" : `${own.seconds[i].toFixed(1)} s`],
      ["split", data.splits[own.split[i]]], ["not read", data.problem[i] ?? ""],
    ].filter(([, text]) => text);
    const parts = [
      this.bar(i),
      el("div", { class: "shown" }, this.preview(i),
        el("dl", {}, ...facts.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))))),
      ...(this.hooks.marks ? [this.marking(i)] : []),
    ];
    if (own.suspicion[i]) parts.push(el("p", { class: "reading" },
      `Suspicion ${own.suspicion[i]} of ${data.suspects}: labelled ${data.answers[own.true[i]]}; of the other categories ` +
      `the runs' mean gives ${data.answers[own.suggested[i]]} the most. The networks may be wrong: look before you change a label.`),
      el("p", { class: "note" }, (data.runs.length > 1 ? "Suspicions come from the mean of the runs' probabilities; one very sure run can cause one. "
        : "Suspicions come from the run's own probabilities. ") + "Only scored videos are examined, no training videos."));
    const order = [this.run, ...data.runs.keys()].filter((run, place, all) => all.indexOf(run) === place);
    return [...parts, ...order.map((run) => this.probabilities(data.runs[run], i))];
  }

  plays(i) {  // known where the clips are in the page or beside it
    return !this.hooks.preview && Boolean(this.hooks.clips?.[i] || this.data.previews.files?.clip?.[i]);
  }

  async clip(i, track) {
    if (this.hooks.preview) return this.hooks.preview(i, track);
    const own = track === "clip" ? this.hooks.clips?.[i] : undefined;
    return own ? `data:video/mp4;base64,${own}` : this.data.previews.files?.[track]?.[i] ?? null;
  }

  preview(i) {
    const { data } = this;
    const place = el("div", { class: "preview" });
    const show = async (track) => {
      const address = await this.clip(i, track);
      if (this.opened !== i) return;
      if (!address) {
        place.replaceChildren(el("p", { class: "note" }, data.previews.without || (data.problem[i]
          ? "It could not be read: there is nothing to play."
          : `This video's preview is not in the page. Whoever has the runs can add all: har report ${data.study} --videos`)));
        return;
      }
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const moving = el("video", { src: address, muted: true, loop: true, autoplay: !still, playsInline: true, controls: true,
        "aria-label": track === "cam" ? "The clip with the places that spoke for the call" : "The clip as it is stored" });
      const cam = track === "clip" && await this.clip(i, "cam");
      if (this.opened !== i) return;
      const other = track === "cam" ? "clip" : cam ? "cam" : "";
      place.replaceChildren(moving, ...(other ? [el("button", { type: "button", "aria-pressed": String(track === "cam"),
        onclick: () => show(other) }, `Where ${data.previews.cam_of || "the network"} looked`)] : []));
    };
    show("clip");
    return place;
  }

  // ---- wrong labels

  marking(i) {
    const { data, marks } = this, truth = data.answers[data.columns.true[i]];
    const choices = (data.several ? data.answers : data.categories).filter((text) => text !== truth && text !== NOTHING);
    const mark = () => field.value && this.change(this.hooks.onMark(i, field.value));
    const field = el("select", { onkeydown: (event) => {
      if (event.key === "Enter") { event.preventDefault(); mark(); }
    } }, el("option", { value: "" }, "which is right?"),
      ...choices.map((text) => el("option", { value: text }, text)),
      marks.drop ? el("option", { value: marks.drop }, "(leave the video out)") : null);
    field.value = marks.marked[i] ?? "";
    return el("div", { class: "mark" }, el("label", {}, "Wrong label; right is", field),
      el("button", { type: "button", onclick: mark }, "Mark as wrong label"),
      el("button", { type: "button", onclick: () => this.change(this.hooks.onUndo()) }, "Undo the last mark"));
  }

  async change(answer) {
    this.markSaid.textContent = "Waiting for the kernel.";
    this.marks = { ...this.marks, ...await answer };
    this.markSaid.textContent = this.marks.said;
    if (this.state.suspect === "marked") this.update(false);
    this.draw(true);
    if (!this.panel.hidden) this.panel.querySelector(".mark").replaceWith(this.marking(this.opened));
    this.body.querySelector("button[tabindex='0']")?.focus({ preventScroll: true });
  }

  shortcut(event) {  // n and p: next and previous; m: to the choice of the right category; u: undo
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
    if ((event.key === "n" || event.key === "p") && this.rows.length) {
      this.go(this.panel.hidden ? this.current : this.beside(event.key === "n" ? 1 : -1));
      if (this.panel.hidden) this.open(this.rows[this.current], false);
    } else if (event.key === "m") this.panel.querySelector(".mark select")?.focus();
    else if (event.key === "u") this.change(this.hooks.onUndo());
    else return;
    event.preventDefault();
  }

  probabilities(run, i) {
    const { data } = this, own = run.columns, part = el("section", {}, el("h3", {}, run.name, el("small", {}, run.about)));
    if (!own.listed[i]) { part.append(el("p", { class: "note" }, "This run did not score the video.")); return part; }
    if (own.called[i] === UNREAD) { part.append(el("p", { class: "note" }, "It could not be read, and counts as wrong.")); return part; }
    const truth = data.answers[data.columns.true[i]].split(data.several ? "|" : "\u0000");
    let every;
    if (own.every) every = (run.known ?? [...data.categories.keys()]).map((k) => [data.categories[k], own.every[i * data.categories.length + k] / 65535]);
    else every = [...Array(data.top).keys()].map((k) => [data.categories[own.top[i * data.top + k]], own.top_probability[i * data.top + k] / 65535]).filter(([name]) => name);
    every.sort((a, b) => b[1] - a[1]);
    const bars = (some) => el("ol", { class: "bars" }, ...some.map(([name, p]) => el("li", { class: truth.includes(name) ? "true" : "" },
      el("span", { class: "what" }, name + (truth.includes(name) ? " (true)" : "")),
      el("span", { class: "track", "aria-hidden": "true" }, el("span", { style: `width:${(100 * p).toFixed(1)}%` })),
      el("span", { class: "value" }, percent(p)))));
    if (own.every && every.length > FEW) {
      part.append(bars(every.slice(0, 5)), el("details", {}, el("summary", {}, `All ${every.length} categories`), bars(every)));
    } else part.append(bars(every));
    if (!own.every) part.append(el("p", { class: "note" }, `The ${data.top} most probable of ${data.categories.length.toLocaleString("en")} categories: all of so many videos do not fit into one page; predictions.csv of the run has them.`));
    if (own.view_called) {
      const views = [];
      for (let v = 0; v < run.views; v++) {
        const called = own.view_called[i * run.views + v];
        if (called !== UNREAD) views.push(`${data.categories[called]} ${Math.round(100 * own.view_probability[i * run.views + v] / 255)} %`);
      }
      if (views.length > 1 && new Set(views).size === 1) {
        part.append(el("p", { class: "note" }, `Each of its ${views.length} views says ${views[0]}: they are alike, as of a video that is as short as a view.`));
      } else if (views.length > 1) part.append(el("details", {}, el("summary", {}, `What each of its ${views.length} views says`),
        el("ol", { class: "views" }, ...views.map((text) => el("li", {}, text)))));
    } else if (run.views) part.append(el("p", { class: "note" }, "What each view says does not fit into one page of so many videos."));
    return part;
  }
}

function ranks(texts) {  // v2 before v10; Intl.Collator takes five times as long
  const keys = texts.map((text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0")));
  const order = Int32Array.from(texts.keys()).sort((a, b) => keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b);
  const found = new Float64Array(texts.length);
  order.forEach((i, place) => { found[i] = place; });
  return found;
}

function bounds(text) {
  const found = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(text);
  return found ? [found[1] / 100, found[2] / 100] : [0, 1];
}
