// <query-completion>: completes label names, operators and values in the input inside it. The service counts them, over
// all history or, where the query has other matchers, among what these match. Without script it is a plain input.
(() => {
  "use strict";

  const PAUSE = 20; // ms after a key before the service is asked: a list is to be there within 50 ms
  const SHOWN = 30;
  const OPERATORS = [["=", "is"], ["!=", "is not"], ["=~", "matches the regex"], ["!~", "does not match"]];
  const NAME = /[^\s{}"'`,=!~()]/;
  const quote = (text) => `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r")}"`;
  const isPlain = (name) => /^[A-Za-z_]\w*$/.test(name);
  const number = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, "\u2009");

  // What is being written at `caret`: {kind: name|operator|value, begin, end, text, label, operator, rest, isInside}.
  // `rest` is the query without the matcher that is being written; null where the caret is in a phrase.
  function read(text, caret) {
    let at = 0, isInside = false;
    const skip = (pattern, limit = caret) => {
      const begin = at;
      while (at < limit && pattern.test(text[at])) at++;
      return text.slice(begin, at);
    };
    const string = (limit) => { // the unescaped text of a string; isOpen where it does not end before the limit
      const mark = text[at++];
      let value = "";
      while (at < limit && text[at] !== mark) {
        if (text[at] === "\\" && mark !== "`" && at + 1 < limit) at++;
        value += text[at++];
      }
      return { value, isOpen: at >= limit || at++ < 0 };
    };
    const found = (kind, begin, given) => {
      at = caret;
      if (kind === "value" && /["'`]/.test(text[begin])) {
        at = begin;
        string(text.length);
      } else while (at < text.length && (kind === "operator" ? /[=!~]/ : NAME).test(text[at])) at++;
      return { kind, begin, end: at, isInside, ...given };
    };
    while (at < caret) {
      if (skip(/[\s,]/)) continue;
      if (text[at] === "{" || text[at] === "}") {
        isInside = text[at++] === "{";
        continue;
      }
      const begin = at;
      let label;
      if (/["'`]/.test(text[at])) {
        const { value, isOpen } = string(caret);
        if (isOpen) return isInside ? found("name", begin, { text: value, start: begin }) : null;
        label = value;
      } else label = skip(NAME);
      if (at >= caret) return found("name", begin, { text: label, start: begin });
      if (text[at] === "{") { label = ""; continue; }
      skip(/\s/);
      const from = at, operator = skip(/[=!~]/);
      if (!operator) {
        if (at >= caret && isInside) return found("operator", from, { text: "", label, start: begin });
        if (at === begin) at++;
        continue;
      }
      if (at >= caret && (operator === "!" || (operator === "=" && text[at] === "~"))) return found("operator", from, { text: operator, label, start: begin });
      skip(/\s/);
      const value = at;
      if (at >= caret) return found("value", value, { text: "", label, operator, start: begin });
      if (/["'`]/.test(text[at])) {
        const string_ = string(caret);
        if (string_.isOpen) return found("value", value, { text: string_.value, label, operator, start: begin });
      } else {
        const bare = skip(/[^\s,{}"'`]/);
        if (at >= caret) return found("value", value, { text: bare, label, operator, start: begin });
      }
    }
    return found("name", at, { text: "", start: at });
  }

  // The query without the matcher at the caret, if it can be read by itself.
  function rest(text, place) {
    let before = text.slice(0, place.start).replace(/[\s,]+$/, ""), after = text.slice(place.end).replace(/^[\s,]+/, "");
    if (place.isInside && !after.includes("}")) after = `}${after}`;
    return before + (/[^{\s]$/.test(before) && /^[^}\s]/.test(after) ? "," : "") + after;
  }

  class QueryCompletion extends HTMLElement {
    #input;
    #list;
    #say;
    #timer;
    #turn = 0; // an answer to an older turn is dropped
    #options = [];
    #chosen = -1;
    #kept = new Map(); // answers by their URL
    #place;

    connectedCallback() {
      this.#input = this.querySelector("input");
      if (!this.#input || this.#list) return;
      const id = `${this.#input.name}-completions`;
      this.#list = Object.assign(document.createElement("ul"), { className: "completions", id, hidden: true });
      this.#list.setAttribute("role", "listbox");
      this.#list.setAttribute("aria-label", "Completions");
      this.#say = Object.assign(document.createElement("span"), { className: "visually-hidden" });
      this.#say.setAttribute("role", "status");
      this.append(this.#list, this.#say);
      for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", id]]) this.#input.setAttribute(name, value);
      this.#input.addEventListener("input", () => this.#later());
      this.#input.addEventListener("click", () => this.#later());
      this.#input.addEventListener("keydown", (event) => this.#press(event));
      this.#input.addEventListener("blur", () => this.#close());
      this.#list.addEventListener("mousedown", (event) => event.preventDefault()); // the input keeps the focus
      this.#list.addEventListener("click", (event) => {
        const item = event.target.closest("li");
        if (item) this.#take([...this.#list.children].indexOf(item));
      });
    }

    disconnectedCallback() {
      clearTimeout(this.#timer);
    }

    #later() {
      clearTimeout(this.#timer);
      this.#turn++;
      this.#timer = setTimeout(() => this.complete(), PAUSE);
    }

    async complete() {
      const turn = ++this.#turn, text = this.#input.value;
      const place = read(text, this.#input.selectionStart ?? text.length);
      if (!place) return this.#close();
      try {
        const options = await this.#find(text, place, turn);
        if (turn === this.#turn && document.activeElement === this.#input) this.#show(options, place);
      } catch {
        if (turn === this.#turn) this.#close(); // it stays a plain input
      }
    }

    async #find(text, place, turn) {
      if (place.kind === "operator") return OPERATORS.filter(([each]) => each.startsWith(place.text)).map(([each, hint]) => ({ text: each, insert: `${each}"`, hint }));
      if (place.kind === "name") {
        const wanted = place.text.toLowerCase();
        const { labels } = await this.#ask("api/v1/labels");
        const begins = (each) => each.name.toLowerCase().startsWith(wanted);
        return labels.filter((each) => each.name.toLowerCase().includes(wanted)).sort((a, b) => begins(b) - begins(a))
          .map((each) => ({ text: each.name, insert: `${isPlain(each.name) ? each.name : quote(each.name)}=`, count: each.occurrences }));
      }
      return this.#values(rest(text, place), place, turn);
    }

    // All that has this prefix in the whole history at once; then, where other matchers stand, what they leave.
    async #values(others, place, turn) {
      const path = `api/v1/labels/${encodeURIComponent(place.label)}/values`;
      const option = (each) => ({ text: each.value, insert: quote(place.operator.endsWith("~") ? each.value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&") : each.value), count: each.occurrences });
      const prefix = place.operator.endsWith("~") ? place.text.split("|").pop() : place.text;
      const all = await this.#ask(path, { prefix, limit: SHOWN });
      const options = all.values.map(option);
      if (!/["=]/.test(others)) return options;
      if (turn === this.#turn) this.#show(options, place);
      const among = await this.#ask(path, { query: others, limit: 500 }).catch(() => null);
      if (this.#chosen >= 0) return this.#options; // who chooses already keeps the list
      const left = among?.values.filter((each) => each.value.startsWith(prefix)).map(option) ?? [];
      return left.length ? left : options;
    }

    async #ask(path, parameters = {}) {
      const url = `${this.dataset.root}${path}?${new URLSearchParams(parameters)}`;
      if (!this.#kept.has(url)) {
        const answer = fetch(url, { headers: { accept: "application/json" } }).then((response) => {
          if (!response.ok) throw new Error(response.statusText);
          return response.json();
        });
        answer.catch(() => this.#kept.delete(url));
        this.#kept.set(url, answer);
      }
      return this.#kept.get(url);
    }

    #show(options, place) {
      this.#options = options.slice(0, SHOWN);
      this.#place = place;
      if (!this.#options.length || (this.#options.length === 1 && place.kind === "value" && this.#options[0].text === place.text)) return this.#close();
      const isOpen = !this.#list.hidden, was = this.#chosen;
      this.#list.replaceChildren(...this.#options.map((option, index) => {
        const item = document.createElement("li");
        item.id = `${this.#list.id}-${index}`;
        item.setAttribute("role", "option");
        item.append(Object.assign(document.createElement("span"), { className: "text", textContent: option.text || '""' }));
        const note = option.hint ?? (option.count === undefined ? "" : number(option.count));
        item.append(Object.assign(document.createElement("span"), { className: "count", textContent: note }));
        return item;
      }));
      this.#list.hidden = false;
      this.#input.setAttribute("aria-expanded", "true");
      this.#choose(isOpen && was < this.#options.length ? was : -1);
      this.#say.textContent = `${this.#options.length} completions`;
    }

    #close() {
      this.#turn++;
      this.#list.hidden = true;
      this.#chosen = -1;
      this.#input.setAttribute("aria-expanded", "false");
      this.#input.removeAttribute("aria-activedescendant");
      this.#say.textContent = "";
    }

    #choose(index) {
      this.#chosen = index;
      [...this.#list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
      const item = this.#list.children[index];
      if (!item) return this.#input.removeAttribute("aria-activedescendant");
      this.#input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    }

    #press(event) {
      if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) {
        if (event.ctrlKey && event.key === " ") event.preventDefault(), this.complete();
        return;
      }
      const isOpen = !this.#list.hidden, last = this.#options.length - 1;
      const steps = { ArrowDown: this.#chosen >= last ? 0 : this.#chosen + 1, ArrowUp: this.#chosen <= 0 ? last : this.#chosen - 1 };
      if (event.key in steps) {
        event.preventDefault();
        if (isOpen) this.#choose(steps[event.key]);
        else this.complete().then(() => this.#list.hidden || this.#choose(0));
      } else if (isOpen && event.key === "Escape") {
        event.preventDefault();
        this.#close();
      } else if (isOpen && this.#chosen >= 0 && (event.key === "Enter" || event.key === "Tab")) {
        event.preventDefault();
        this.#take(this.#chosen);
      }
    }

    #take(index) {
      const { insert } = this.#options[index], place = this.#place, text = this.#input.value;
      const bare = !place.isInside && place.kind === "name" && !text.includes("{"); // the first matcher gets its braces
      let behind = text.slice(place.end), before = text.slice(0, place.begin), written = bare ? `{${insert}` : insert;
      if (place.kind === "operator") behind = behind.replace(/^\s*["'`]/, "");
      if (place.kind === "name") behind = behind.replace(/^\s*=(?!~)/, "");
      if (place.kind === "value") {
        if (place.operator.endsWith("~") && place.text.includes("|")) written = quote(place.text.slice(0, place.text.lastIndexOf("|") + 1)).slice(0, -1) + insert.slice(1);
        if (place.isInside && !/^\s*[,}]/.test(behind)) written += behind.includes("}") ? "," : "}";
      }
      this.#input.value = before + written + behind;
      const caret = (before + written).length;
      this.#input.setSelectionRange(caret, caret);
      this.#close();
      if (place.kind !== "value") this.complete();
    }
  }

  customElements.define("query-completion", QueryCompletion);
})();
