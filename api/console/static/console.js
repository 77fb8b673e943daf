// The page of the person service. Whatever comes from a profile is put on the
// page as text: nothing here makes markup of a string.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
  const SLOT = "cis-token";

  // make makes an element. Its children are elements and text; null is nothing.
  function make(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) e.setAttribute(name, "");
      else if (value !== false && value != null) e.setAttribute(name, value);
    }
    for (const c of children.flat(Infinity)) if (c != null) e.append(c);
    return e;
  }

  // ---- The token.

  let token = "";

  function readToken() {
    try { return sessionStorage.getItem(SLOT) || ""; } catch { return ""; } // storage may be forbidden
  }

  function keepToken(t) {
    token = t;
    try {
      if (t) sessionStorage.setItem(SLOT, t); else sessionStorage.removeItem(SLOT);
    } catch { /* then it lives as long as the page */ }
    showSession();
  }

  // claims reads what a token says of itself, to show it. Only the service
  // decides whether that is true.
  function claims(t) {
    try {
      const b = atob(t.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
      const c = JSON.parse(new TextDecoder().decode(Uint8Array.from(b, (x) => x.charCodeAt(0))));
      return c && typeof c === "object" ? c : {};
    } catch { return {}; }
  }

  function showSession() {
    $("token-form").hidden = token !== "";
    $("search").hidden = token === "";
    $("session").hidden = token === "";
    if (!token) return;
    const c = claims(token);
    const left = typeof c.exp === "number" ? Math.floor((c.exp * 1000 - Date.now()) / 60000) : null;
    const until = left === null ? "" : left < 0 ? "expired" : left < 1 ? "expires within a minute" : left < 120 ? `expires in ${left} min` : `expires in ${Math.floor(left / 60)} h`;
    $("session-text").textContent = "Token" + (until ? " " + until : " set");
    $("session-text").title = typeof c.scope === "string" ? "Scopes: " + c.scope : "";
    $("session").classList.toggle("late", left !== null && left < 0);
  }

  // ---- Asking.

  // A Refusal is an answer that is no success; its message says what to do.
  class Refusal extends Error {
    constructor(status, message) { super(message); this.status = status; }
  }

  function refusal(status, said, retryAfter) {
    const also = said && said.description ? ` The service says: ${said.description}.` : "";
    switch (status) {
      case 400: return "The service does not understand what you asked for." + also;
      case 401: return "The token is not accepted." + also + " Paste a new one: `cis token` prints one where cis serve --dev runs.";
      case 403: return "Your token does not allow this." + also + (said && said.code === "insufficient_scope" ? " Ask for a token with that scope." : " Ask whoever runs the service what your token may do.");
      case 404: return "Nobody has that uuid.";
      case 429: return `Too many requests from here. Try again in ${retryAfter || 60} seconds.`;
      case 503: return "The service cannot answer at the moment: it, or what it depends on, is out of reach. Try again in a minute; if it goes on, tell whoever runs it.";
    }
    return `The service answered with an error (${status}). Try again; if it goes on, tell whoever runs it.`;
  }

  async function ask(path, signal) {
    let r;
    try {
      r = await fetch(path, {
        signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
        headers: { Authorization: "Bearer " + token, Accept: "application/json" },
      });
    } catch (e) {
      if (e.name === "AbortError") throw e;
      throw new Refusal(0, "The service does not answer. Look whether it runs and whether you are connected, and try again.");
    }
    let body = null;
    try { body = await r.json(); } catch (e) { if (e.name === "AbortError") throw e; }
    if (!r.ok) {
      const id = r.headers.get("X-Request-Id");
      throw new Refusal(r.status, refusal(r.status, body, r.headers.get("Retry-After")) + (id && r.status >= 500 ? ` The number of the request is ${id}.` : ""));
    }
    if (body === null || typeof body !== "object") throw new Refusal(r.status, "The answer is not what this page knows how to read. Reload the page; if it goes on, tell whoever runs the service.");
    return body;
  }

  // kinds are what a value may be, by its form, the likelier first.
  function kinds(v) {
    if (UUID.test(v)) return [["uuid", v]];
    if (v.includes("|")) return [["user_id", v]];
    if (v.includes("@")) return [["primary_email", v], ["primary_username", v]];
    // A bare word may be a login, too, whose user_id begins like this.
    return [["primary_username", v], ["user_id", "ad|Mozilla-LDAP|" + v]];
  }

  // ---- Searching.

  let running = null; // the search that is under way
  let again = null; // the search that a refused token cut off

  function say(text, plain) {
    $("status").textContent = text;
    $("status").hidden = !text;
    $("status").classList.toggle("plain", !!plain);
  }

  function complain(text) {
    $("error").textContent = text;
    $("error").hidden = !text;
  }

  async function lookUp(value, kind, push) {
    if (running) running.abort();
    const mine = running = new AbortController();
    again = null;
    complain("");
    say("Looking…", true);
    $("result").hidden = true;
    $("result").replaceChildren();
    $("result").setAttribute("aria-busy", "true");
    try {
      let profile = {};
      for (const [by, v] of kind ? [[kind, value]] : kinds(value)) {
        profile = await ask(`/v2/user/${by}/${encodeURIComponent(v)}?active=any`, mine.signal);
        if (Object.keys(profile).length) break;
      }
      if (!Object.keys(profile).length) {
        say("Nobody found. Type the whole email, user_id, uuid or username.");
        $("who").focus();
        $("who").select();
        return;
      }
      const uuid = textOf(profile.uuid) || (UUID.test(value) ? value : "");
      const [why, past] = uuid ? await Promise.all([
        optional(`/v2/person/${encodeURIComponent(uuid)}/explain`, mine.signal),
        optional(`/v2/person/${encodeURIComponent(uuid)}/history`, mine.signal),
      ]) : [{ missing: "Your token does not show the uuid, by which this is asked for." }, { missing: "Your token does not show the uuid, by which this is asked for." }];
      show(profile, why, past);
      if (push && uuid && location.hash !== "#" + uuid) history.pushState(null, "", "#" + uuid);
    } catch (e) {
      if (e.name === "AbortError") return;
      say("");
      complain(e instanceof Refusal ? e.message : "Something on this page went wrong. Reload it and try again.");
      if (e.status === 401) {
        again = { value, kind };
        keepToken("");
        $("token").focus();
      } else {
        $("who").focus();
      }
    } finally {
      if (running === mine) {
        running = null;
        $("result").removeAttribute("aria-busy");
      }
    }
  }

  // optional asks for what the page can do without.
  async function optional(path, signal) {
    try {
      return { got: await ask(path, signal) };
    } catch (e) {
      if (!(e instanceof Refusal) || e.status === 401) throw e;
      return { missing: e.message };
    }
  }

  // ---- Profiles.

  const isAttribute = (a) => a !== null && typeof a === "object" && a.metadata !== undefined;
  const valueOf = (a) => (a && a.value !== undefined ? a.value : a && a.values !== undefined ? a.values : null);
  const textOf = (a) => (typeof valueOf(a) === "string" ? valueOf(a) : "");
  const isEmpty = (v) => v === null || v === undefined || v === "" || (typeof v === "object" && Object.keys(v).length === 0);

  // named is a name that may be broken after its parts.
  const named = (name) => name.split(/(?<=[._])/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));

  // when says a time in UTC, as the command line does.
  function when(t) {
    const d = new Date(t || NaN);
    if (isNaN(d) || d.getTime() === 0) return null;
    return make("time", { datetime: t, title: d.toLocaleString() }, d.toISOString().slice(0, 16).replace("T", " ") + " UTC");
  }

  // shown is a value as it is read.
  function shown(v) {
    if (isEmpty(v)) return make("span", { class: "none" }, "empty");
    if (v === true || v === false) return make("span", {}, v ? "yes" : "no");
    if (typeof v !== "object") return make("span", {}, String(v));
    const entries = Array.isArray(v) ? v.map((x) => [null, x]) : Object.entries(v);
    const names = entries.every(([k, x]) => k !== null && x === null), long = entries.length > (names ? 80 : 12);
    return make("ul", { class: "pairs" + (names ? " names" : "") + (long ? " long" : ""), tabindex: long ? "0" : null },
      entries.map(([k, x]) => make("li", {},
        k === null ? null : make("span", { class: x === null ? "key" : "key with" }, k),
        x === null ? null : (k === null ? "" : " ") + (typeof x === "object" ? JSON.stringify(x) : String(x)))));
  }

  // line is a value in one line.
  function line(v) {
    if (isEmpty(v)) return "empty";
    if (v === true || v === false) return v ? "yes" : "no";
    if (typeof v !== "object") return String(v);
    return Object.entries(v).map(([k, x]) => (Array.isArray(v) ? String(x) : x === null ? k : `${k}: ${typeof x === "object" ? JSON.stringify(x) : x}`)).join(", ");
  }

  const displays = { public: "public", authenticated: "people", vouched: "people", ndaed: "people", staff: "people", private: "private" };

  function badges(metadata) {
    const display = metadata.display || "";
    const c = String(metadata.classification || "");
    const cClass = c === "PUBLIC" ? "public" : c.startsWith("INDIVIDUAL") ? "individual" : "confidential";
    return [
      make("span", { class: "badge " + (displays[display] || ""), title: "Display: " + (display || "none") },
        display ? (display === "private" ? "private" : "shown to " + display) : "no display chosen"),
      make("span", { class: "badge class " + cClass, title: "Classification: " + c }, c === "PUBLIC" ? "public data" : c.toLowerCase()),
      metadata.verified === false ? make("span", { class: "badge bad", title: "Nobody verified it" }, "not verified") : null,
    ];
  }

  // from says who signed a value, whose word it is, and whether the signature holds.
  function from(a, why) {
    const p = (a.signature && a.signature.publisher) || {};
    const sig = why && why.signature;
    const source = (why && why.source) || "";
    const parts = [make("span", { class: "code" }, source || p.name || "nobody")];
    const of = source && p.name && source !== p.name ? "signature of " + p.name : "signature"; // cis signs what it decides
    if (!p.value) return isEmpty(valueOf(a)) ? [make("span", { class: "soft" }, "nobody yet")] : parts.concat(make("span", { class: "sig bad" }, "not signed"));
    if (!sig) return parts.concat(make("span", { class: "sig" }, "signed, not verified here"));
    return parts.concat(sig.verifies
      ? make("span", { class: "sig good" }, of + " verifies")
      : make("span", { class: "sig bad" }, of + " does not verify" + (sig.wrong ? ": " + sig.wrong : "")));
  }

  // ---- Why.

  function word(w) {
    const said = {
      value: w.value === undefined ? "says something that you may not see" : "says " + line(w.value),
      empty: "says that it is empty",
    }[w.says];
    return make("li", {},
      make("span", { class: "who code" }, w.publisher),
      make("span", {},
        said ? make("span", {}, said, w.verified === false ? " (not verified)" : null, " ") : null,
        w.counts ? make("span", { class: "badge good" }, "counts") : null,
        make("span", { class: "reason" }, (said ? (w.counts ? " – " : "– ") : "") + w.reason)));
  }

  const changesOf = (revisions, path) => revisions.flatMap((r) => (r.operations || []).flatMap((o) => (o.changes || []).filter((c) => c.path === path).map((c) => ({ r, o, c }))));

  const cause = (c) => (c && c.run ? `${c.door || "run"}, run ${c.run}` : (c && c.door) || "");

  // turned says what became of what: of a map which keys came and went.
  function turned(c) {
    const old = (c.old || {}).value, now = (c.new || {}).value;
    const map = (v) => v !== null && typeof v === "object";
    const out = make("span", {});
    if (map(old) && map(now) && !isEmpty(old)) {
      const item = (k, v) => (Array.isArray(v) ? String(v[k]) : v[k] === null ? k : `${k}: ${v[k]}`);
      const gone = Object.keys(old).filter((k) => JSON.stringify(now[k]) !== JSON.stringify(old[k]));
      const come = Object.keys(now).filter((k) => JSON.stringify(now[k]) !== JSON.stringify(old[k]));
      out.append(...gone.map((k) => make("span", { class: "was" }, item(k, old))).flatMap((e, i) => (i ? [", ", e] : [e])));
      if (gone.length && come.length) out.append(make("span", { class: "arrow" }, "→"));
      out.append(...come.map((k) => make("span", { class: "now" }, "+ " + item(k, now))).flatMap((e, i) => (i ? [", ", e] : [e])));
    } else if (JSON.stringify(old) !== JSON.stringify(now)) {
      if (!isEmpty(old)) out.append(make("span", { class: "was" }, line(old)), make("span", { class: "arrow" }, "→"));
      out.append(make("span", { class: isEmpty(now) ? "none" : "now" }, line(now)));
    }
    const shownTo = (x) => (x || {}).display || "none";
    if (shownTo(c.old) !== shownTo(c.new)) out.append(make("span", { class: "soft" }, `${out.childNodes.length ? "; " : ""}display ${isEmpty(old) ? "" : shownTo(c.old) + " → "}${shownTo(c.new)}`));
    if (c.old && c.new && c.old.verified !== c.new.verified) out.append(make("span", { class: "soft" }, `${out.childNodes.length ? "; " : ""}${c.new.verified ? "verified" : "not verified any more"}`));
    if (!out.childNodes.length) out.append(make("span", { class: "soft" }, "signed anew"));
    return out;
  }

  function whyPanel(path, metadata, why, revisions) {
    const box = [];
    if (why) {
      box.push(make("h4", {}, "Who said what"));
      box.push((why.words || []).length ? make("ul", { class: "words" }, why.words.map(word)) : make("p", {}, "No source has a say in it."));
      if (why.keys) box.push(make("h4", {}, "Whose each entry is"), make("p", {}, Object.entries(why.keys).map(([k, p]) => `${k}: ${p}`).join(", ")));
      if (why.pending) box.push(make("h4", {}, "Waiting"), make("p", {}, "The next run would make this of it: ", turned(why.pending)));
      if (why.outlook) box.push(make("h4", {}, "What could change it"), make("p", {}, why.outlook));
      box.push(make("h4", {}, "Who may see it"), make("p", {}, `Display ${metadata.display || "none"}`, why.display_reason ? ` (${why.display_reason})` : null, `, classification ${metadata.classification || "none"}.`));
      const since = when(why.since), recorded = when(why.recorded_at);
      if (since || recorded) box.push(make("h4", {}, "Since"), make("p", {}, since, since && recorded ? ", recorded " : null, recorded));
      const s = why.signature || {};
      if (s.publisher) box.push(make("h4", {}, "Signature"), make("p", {}, `${s.verifies ? "Verifies" : "Does not verify" + (s.wrong ? " (" + s.wrong + ")" : "")}: by ${s.publisher}`,
        s.algorithm ? ", " + s.algorithm : null, s.key ? [", key ", make("code", {}, s.key)] : null, s.bound ? ", for this person and attribute alone" : null, "."));
    }
    if (revisions) {
      box.push(make("h4", {}, "What it was"));
      const list = changesOf(revisions, path);
      box.push(list.length ? make("div", {}, list.map(({ r, c }) => make("div", { class: "change" },
        make("span", {}, when(r.recorded_at), make("br"), make("span", { class: "soft" }, cause(r.cause))), turned(c)))) : make("p", {}, "Nothing is recorded of it."));
    }
    return box;
  }

  // ---- The result.

  let counter = 0;

  function row(path, name, a, why, past) {
    const id = "why-" + ++counter;
    const explained = why.got ? (why.got.attributes || []).find((x) => x.path === path) : null;
    const revisions = past.got ? past.got.revisions || [] : null;
    const empty = isEmpty(valueOf(a));
    const out = make("div", { class: "attribute", "data-path": path, "data-empty": String(empty), hidden: empty },
      make("dt", {}, named(name)),
      make("dd", { class: "value" }, shown(valueOf(a))),
      make("dd", { class: "badges" }, badges(a.metadata || {})),
      make("dd", { class: "from" }, from(a, explained)));
    if (explained || revisions) {
      const panel = make("dd", { class: "why", id, hidden: true });
      const button = make("button", { type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": id, "aria-label": "Why: " + path }, "Why");
      button.addEventListener("click", () => {
        if (!panel.childNodes.length) panel.append(...whyPanel(path, a.metadata || {}, explained, revisions));
        panel.hidden = !panel.hidden;
        button.setAttribute("aria-expanded", String(!panel.hidden));
      });
      out.append(make("dd", { class: "act" }, button), panel);
    }
    return out;
  }

  function section(id, title, small, ...children) {
    return make("section", { class: "section", id, "aria-labelledby": id + "-title" },
      make("h3", { id: id + "-title" }, title, small ? make("small", {}, small) : null), children);
  }

  const titles = { access_information: "Access", identities: "Identities", staff_information: "Staff" };

  function profileSections(profile, why, past) {
    const groups = [["", []]];
    for (const key of Object.keys(profile).sort()) {
      const x = profile[key];
      if (isAttribute(x)) groups[0][1].push(row(key, key, x, why, past));
      else if (x !== null && typeof x === "object") {
        const rows = Object.keys(x).sort().filter((k) => isAttribute(x[k])).map((k) => row(key + "." + k, k, x[k], why, past));
        if (rows.length) groups.push([key, rows]);
      }
    }
    return groups.filter(([, rows]) => rows.length).map(([key, rows]) => {
      const full = rows.filter((r) => r.dataset.empty === "false").length;
      const s = section("part-" + (key || "person"), key ? titles[key] || key : "Person", `${full} of ${rows.length} have a value`, make("dl", {}, rows));
      s.dataset.full = String(full);
      s.hidden = full === 0;
      return s;
    });
  }

  function sourcesSection(why) {
    if (!why.got) return null;
    const x = why.got;
    const lifecycle = { present: "says that the person is here", not_yet: "says that the person is not here yet", blocked: "blocks the login", ended: "says that the person has left", gone: "is gone" };
    return section("sources", "Sources", x.lifecycle_authority ? x.lifecycle_authority + " says whether the person is here" : null,
      (x.records || []).length ? make("ul", { class: "sources" }, x.records.map((r) => make("li", {},
        make("span", { class: "code" }, r.publisher + (r.source && r.source !== r.publisher ? " (" + r.source + ")" : "")),
        make("span", {}, "Its record " + (lifecycle[r.lifecycle] || "says: " + r.lifecycle)),
        make("span", { class: "when" }, r.seen_at ? ["seen ", when(r.seen_at)] : null)))) : make("p", {}, "No source has a record of the person."));
  }

  function historySection(past) {
    if (!past.got) return section("history", "History", null, make("p", {}, "Hidden. " + past.missing));
    const revisions = past.got.revisions || [];
    return section("history", "History", `${revisions.length} ${revisions.length === 1 ? "revision" : "revisions"} that you may see`,
      revisions.length ? make("ol", { class: "revisions" }, revisions.map((r, i) => {
        const operations = r.operations || [];
        const count = operations.reduce((n, o) => n + (o.changes || []).length, 0);
        return make("li", {}, make("details", { open: i === 0 && count <= 12 },
          make("summary", {}, when(r.recorded_at) || "At some time", make("span", { class: "badge" }, `revision ${r.revision}`),
            make("span", { class: "soft" }, [[...new Set(operations.map((o) => o.class))].join(", "), `${count} ${count === 1 ? "change" : "changes"}`, cause(r.cause)].filter(Boolean).join(" · "))),
          make("div", { class: "changes" }, operations.map((o) => (o.changes || []).map((c) => make("div", { class: "change" },
            make("span", { class: "path" }, named(c.path)), turned(c), make("span", { class: "soft" }, c.source || o.source || c.publisher || "")))))));
      })) : make("p", {}, "Nothing is recorded that you may see."));
  }

  function nameOf(profile) {
    const full = [profile.first_name, profile.last_name].map(textOf).filter(Boolean).join(" ");
    return textOf(profile.alternative_name) && !full ? textOf(profile.alternative_name)
      : full || textOf(profile.primary_email) || textOf(profile.user_id) || textOf(profile.primary_username) || "Somebody";
  }

  function show(profile, why, past) {
    const name = nameOf(profile);
    const parts = profileSections(profile, why, past);
    const active = valueOf(profile.active);
    const emptyRows = parts.flatMap((s) => [...s.querySelectorAll("[data-empty=true]")]);
    const empties = make("input", { type: "checkbox", id: "empties" });
    empties.addEventListener("change", () => {
      for (const r of emptyRows) r.hidden = !empties.checked;
      for (const s of parts) s.hidden = !empties.checked && s.dataset.full === "0";
    });
    const heading = make("h2", { id: "name", tabindex: "-1" }, name);
    const jump = (id, text) => {
      const a = make("a", { href: "#" + id }, text);
      a.addEventListener("click", (e) => { // the address stays the person's
        e.preventDefault();
        const h = $(id + "-title");
        h.tabIndex = -1;
        h.focus({ preventScroll: true });
        h.scrollIntoView();
      });
      return a;
    };
    const ids = [["user_id", profile.user_id], ["email", profile.primary_email], ["uuid", profile.uuid]].filter(([, a]) => textOf(a));
    $("result").replaceChildren(
      make("div", { class: "person" }, heading,
        active === true ? make("span", { class: "badge good" }, "active") : active === false ? make("span", { class: "badge bad" }, "not active") : null,
        why.got && why.got.revision ? make("span", { class: "badge" }, "revision " + why.got.revision) : null),
      make("ul", { class: "ids" }, ids.map(([n, a]) => make("li", {}, n + " ", make("span", { class: "code" }, textOf(a))))),
      make("div", { class: "tools" },
        make("nav", { "aria-label": "Parts of the profile" }, parts.filter((s) => s.dataset.full !== "0").map((s) => jump(s.id, s.querySelector("h3").firstChild.textContent)),
          why.got ? jump("sources", "Sources") : null, jump("history", "History")),
        emptyRows.length ? make("label", { class: "apart" }, empties, `Show ${emptyRows.length} without a value`) : null),
      ...[why.got ? null : make("p", { class: "notice", id: "no-why" }, "Why the profile is as it is, and whether signatures verify, is hidden. " + why.missing)].filter(Boolean),
      ...parts, ...[sourcesSection(why), historySection(past)].filter(Boolean));
    $("result").hidden = false;
    document.title = name + " – CIS";
    const n = parts.reduce((n, s) => n + Number(s.dataset.full), 0);
    say(`${name}: ${n} attributes with a value that you may see.`, true);
    heading.focus({ preventScroll: true });
    heading.scrollIntoView({ block: "nearest" });
  }

  function clear() {
    if (running) running.abort();
    again = null;
    $("result").replaceChildren();
    $("result").hidden = true;
    document.title = "CIS: look somebody up";
    say("");
    complain("");
  }

  // ---- What the user does.

  $("token-form").addEventListener("submit", (e) => {
    e.preventDefault();
    const t = $("token").value.trim().replace(/^Bearer\s+/i, "");
    $("token").value = "";
    if (!/^[\x21-\x7e]+$/.test(t)) {
      complain("That is not a token. Copy all of what `cis token` prints, and nothing else.");
      $("token").focus();
      return;
    }
    complain("");
    keepToken(t);
    if (again) lookUp(again.value, again.kind, true);
    else open(true);
  });

  $("search").addEventListener("submit", (e) => {
    e.preventDefault();
    const v = $("who").value.trim();
    if (v) lookUp(v, $("kind").value, true);
    else $("who").focus();
  });

  $("forget").addEventListener("click", () => {
    keepToken("");
    clear();
    $("who").value = "";
    history.replaceState(null, "", location.pathname);
    say("The token is forgotten, and what it showed is gone from this page.", true);
    $("token").focus();
  });

  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || $("search").hidden) return;
    e.preventDefault();
    $("who").focus();
    $("who").select();
  });

  document.querySelector(".skip").addEventListener("click", (e) => {
    e.preventDefault();
    $(token ? "who" : "token").focus();
  });

  // open shows whom the address names.
  function open(focus) {
    const id = location.hash.slice(1);
    if (token && UUID.test(id)) {
      $("who").value = id;
      lookUp(id, "uuid", false);
    } else if (focus) {
      $(token ? "who" : "token").focus();
    }
  }

  addEventListener("popstate", () => {
    if (!UUID.test(location.hash.slice(1))) clear();
    open(true);
  });
  setInterval(showSession, 30000);
  keepToken(readToken());
  open(true);
})();
