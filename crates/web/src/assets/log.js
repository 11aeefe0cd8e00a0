// Follows a log by server-sent events, from after the lines that the server drew. Text goes in as text, never
// as markup. Scrolling up pauses; at most LINES lines are kept. Sections fold as the server draws them (fold.rs).

const LINES = 5000;

class Follower {
  constructor(root) {
    this.root = root;
    this.lines = root.querySelector(".log-lines");
    this.state = root.querySelector(".log-state");
    this.stay = root.querySelector('[data-log="stay"]');
    this.words = this.state.textContent;
    this.queue = [];
    // How many lines of the log have come, if the stream can go on after a number of lines.
    this.after = root.dataset.after === undefined ? null : Number(root.dataset.after);
    this.count = this.after || 0;
    this.begun = Date.parse(root.dataset.begun) || 0;
    this.following = true;
    this.partial = {};
    this.sections = [];
    this.buttons();
    if (root.dataset.follow) this.open();
    // What matters is at the end, unless a line was linked to.
    if (!location.hash.startsWith(`#${root.id}-`)) this.bottom();
  }

  buttons() {
    const wrap = this.root.querySelector('[data-log="wrap"]');
    wrap.hidden = false;
    wrap.addEventListener("click", () => this.root.classList.toggle("wrap"));
    const fold = this.root.querySelector('[data-log="fold"]');
    fold.hidden = false;
    fold.addEventListener("click", () => {
      const folds = [...this.lines.querySelectorAll("details")];
      const open = !folds.some((one) => one.open);
      for (const one of folds) one.open = open;
    });
    if (!this.root.dataset.follow) return;
    this.stay.hidden = false;
    this.stay.addEventListener("click", () => this.follow(!this.following));
    this.lines.addEventListener("scroll", () => {
      const rest = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight;
      if (rest > 60 && this.following && this.moved) this.follow(false);
      if (rest < 4 && !this.following) this.follow(true);
    });
    for (const kind of ["wheel", "touchmove", "keydown"]) {
      this.lines.addEventListener(kind, () => (this.moved = true), { passive: true });
    }
  }

  follow(on) {
    this.following = on;
    this.moved = false;
    this.stay.textContent = on ? this.stay.dataset.pause : this.stay.dataset.resume;
    if (on) this.bottom();
  }

  open() {
    this.stream = new EventSource(this.address());
    for (const kind of ["message", "line"]) this.stream.addEventListener(kind, (event) => this.take(event));
    this.stream.addEventListener("open", () => {
      // A stream that cannot go on where it stopped begins again with what is on the page.
      this.fresh = this.after === null;
      this.state.textContent = this.words;
    });
    this.stream.addEventListener("end", () => this.end());
    this.stream.addEventListener("error", () => {
      // The browser tries again by itself, unless the page has moved on.
      if (!this.root.isConnected || this.stream.readyState === EventSource.CLOSED) this.end();
      else this.state.textContent = this.root.dataset.lost;
    });
  }

  address() {
    if (this.after === null) return this.root.dataset.follow;
    const joint = this.root.dataset.follow.includes("?") ? "&" : "?";
    return `${this.root.dataset.follow}${joint}after=${this.after}`;
  }

  take(event) {
    if (this.fresh) {
      this.fresh = false;
      this.lines.replaceChildren();
      this.queue = [];
      this.count = 0;
      this.begun = 0;
      this.partial = {};
      this.sections = [];
    }
    let line;
    try {
      line = JSON.parse(event.data);
    } catch {
      return;
    }
    if (typeof line.text !== "string") return;
    if (this.after !== null) this.after += 1;
    this.queue.push(line);
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  // Nobody looks at a hidden page, and a browser allows few streams to one server.
  pause(hidden) {
    if (!this.root.dataset.follow || !this.root.isConnected) return;
    if (hidden) {
      this.stream.close();
    } else if (this.stream.readyState === EventSource.CLOSED) {
      this.open();
    }
  }

  end() {
    this.stream.close();
    if (!this.root.dataset.follow) return;
    delete this.root.dataset.follow;
    this.state.textContent = this.root.dataset.end;
    this.stay.hidden = true;
  }

  draw() {
    this.drawing = 0;
    if (!this.resumed) this.resume();
    for (const line of this.queue.splice(0)) this.add(line);
    this.trim();
    if (this.following) this.bottom();
  }

  // The sections that the server's lines have left open, from the outermost.
  resume() {
    this.resumed = true;
    for (const at of this.lines.querySelectorAll("details[data-going]")) {
      this.sections.push({ name: at.dataset.going, at });
    }
  }

  trim() {
    let rows = this.lines.getElementsByClassName("ln").length;
    while (rows > LINES && this.lines.firstElementChild) {
      const first = this.lines.firstElementChild;
      const inside = first.localName === "details" ? first.getElementsByClassName("ln").length : 1;
      // One section alone may hold more than is kept.
      if (inside > 1 && rows - inside < LINES / 2) {
        first.children[1].remove();
        rows -= 1;
        continue;
      }
      first.remove();
      rows -= inside;
    }
  }

  add(line) {
    const key = `${line.instance || ""} ${line.stream}`;
    const open = this.partial[key];
    this.partial[key] = null;
    if (open) {
      paint(open, line.text);
      if (line.whole === false) this.partial[key] = open;
      return;
    }
    const { marks, rest } = read(line);
    let head = null;
    for (const mark of marks) {
      if (mark.end !== undefined) this.close(mark.end);
      else head = this.begin(mark, head);
    }
    const only = marks.length > 0 && !head && rest.trim() === "";
    const text = this.row(head || this.place(), line, head !== null, only);
    if (!text) return;
    paint(text, rest);
    if (line.whole === false) this.partial[key] = text;
  }

  place() {
    return this.sections.length > 0 ? this.sections[this.sections.length - 1].at : this.lines;
  }

  begin(mark, head) {
    if (head || this.sections.length >= 8) return head;
    const last = this.sections[this.sections.length - 1];
    if (mark.name === "" && last && last.name === "") this.sections.pop();
    const details = document.createElement("details");
    details.className = "ln-fold";
    details.open = !mark.closed;
    this.place().append(details);
    this.sections.push({ name: mark.name, at: details });
    return details;
  }

  close(name) {
    const at = this.sections.map((one) => one.name).lastIndexOf(name);
    if (at >= 0) this.sections.length = at;
  }

  row(into, line, head, silent) {
    const kinds = { err: "ln-err", note: "ln-note" };
    const row = document.createElement(head ? "summary" : "div");
    row.className = "ln " + (head ? "ln-head " : "") + (kinds[line.stream] || "ln-out");
    this.count += 1;
    if (silent) return null;
    row.id = this.root.id + "-" + this.count;
    const number = document.createElement("a");
    number.className = "ln-no";
    number.dataset.n = this.count;
    number.href = (this.root.dataset.line ? this.root.dataset.line + this.count : "") + "#" + row.id;
    const at = document.createElement("span");
    at.className = "ln-at";
    const time = Date.parse(line.time);
    if (time > 0) {
      this.begun ||= time;
      at.dataset.t = ((time - this.begun) / 1000).toFixed(1);
    }
    row.append(number, at);
    if (line.instance) {
      const who = document.createElement("span");
      who.className = "ln-who";
      const trim = this.root.dataset.trim || "";
      who.textContent = line.instance.startsWith(trim) ? line.instance.slice(trim.length) : line.instance;
      row.append(who);
    }
    const text = document.createElement("span");
    text.className = "ln-text";
    row.append(text);
    into.append(row);
    return text;
  }

  bottom() {
    this.lines.scrollTop = this.lines.scrollHeight;
  }
}

// The marks of a line, and what is left of it to be read: as `marks` in fold.rs.
function read(line) {
  let rest = line.text;
  if (line.stream === "note") return { marks: [], rest };
  if (rest.startsWith("$ ")) return { marks: [{ name: "" }], rest };
  if (rest.startsWith("::group::")) return { marks: [{ name: "::group::" }], rest: rest.slice(9) };
  if (rest.trimEnd() === "::endgroup::") return { marks: [{ end: "::group::" }], rest: "" };
  const marks = [];
  const section = /^(?:\x1b\[0K)?section_(start|end):[0-9]+:([^\r[]*)(?:\[([^\]\r]*)\])?[^\r]*(?:\r(?:\x1b\[0K)?|$)/;
  for (let found = section.exec(rest); found; found = section.exec(rest)) {
    const name = found[2].trimEnd();
    const closed = (found[3] || "").split(",").some((option) => option.trim() === "collapsed=true");
    marks.push(found[1] === "start" ? { name, closed } : { end: name });
    rest = rest.slice(found[0].length);
  }
  return { marks, rest };
}

// Colours of ECMA-48 become classes; every other control character is dropped.
function paint(into, line) {
  const shown = line.includes("\r") ? line.replace(/\r+$/, "").split("\r").pop() : line;
  let colour = "";
  let bold = false;
  const pieces = shown.split(/\x1b\[([0-9;:]*)([@-~])/);
  for (let i = 0; i < pieces.length; i += 3) {
    const text = pieces[i].replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "");
    if (text) {
      const span = document.createElement("span");
      span.className = (colour + (bold ? " ansi-bold" : "")).trim();
      span.textContent = text;
      into.append(span);
    }
    if (pieces[i + 2] !== "m") continue;
    const codes = (pieces[i + 1] || "0").split(";").map(Number);
    for (let c = 0; c < codes.length; c += 1) {
      const code = codes[c];
      if (code === 0) [colour, bold] = ["", false];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code === 39) colour = "";
      else if (code >= 30 && code <= 37) colour = "ansi-" + (code - 30);
      else if (code >= 90 && code <= 97) colour = "ansi-" + (code - 82);
      else if (code === 38 || code === 48) c += codes[c + 1] === 5 ? 2 : 4;
    }
  }
}

const known = new WeakSet();
let followers = [];

function attach() {
  followers = followers.filter((f) => f.root.isConnected);
  for (const root of document.querySelectorAll(".log")) {
    if (known.has(root)) continue;
    known.add(root);
    followers.push(new Follower(root));
  }
}

attach();
document.addEventListener("naru:drawn", attach);
document.addEventListener("visibilitychange", () => {
  for (const follower of followers) follower.pause(document.hidden);
});
