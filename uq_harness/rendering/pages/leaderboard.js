(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const announce = (text) => { document.getElementById("status").textContent = text; };
  const MEASURES = Object.keys(data.measures);
  const QUALITY = MEASURES.filter((name) => name !== "accuracy");
  const ALL = "all";
  const forms = ["view", "line", "filters"].map((id) => document.getElementById(id)).filter(Boolean);
  const [view, line, filters] = ["view", "line", "filters"].map((id) => document.getElementById(id));
  const narrow = matchMedia("(max-width: 40rem)");
  const sorted = { sort: "", order: "" };  // the column of the ranks and of all runs that was chosen, "-" for descending

  const element = (tag, attributes = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const isolated = (text) => element("bdi", {}, text);
  const percent = (value, stderr) => (100 * value).toFixed(stderr !== null && stderr < 0.0005 ? 2 : 1);
  const number = (found) => {
    if (!found || found[0] === null) return [element("span", { class: "soft", title: "undefined, or not computed" }, "–")];
    const [value, stderr, few] = found;
    return [
      percent(value, stderr),
      ...(stderr === null ? [] : [element("span", { class: "err" }, ` ± ${percent(stderr, stderr)}`)]),
      ...(few ? [element("span", { class: "err", title: "fewer than 10 right or wrong answers: means little" }, " ‡")] : []),
    ];
  };
  const place = (low, high) => (low === high ? `${low}` : `${low}–${high}`);
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  // Choices of a select; what was chosen stays chosen where it still is one.
  const offer = (select, choices, fallback, keep = true) => {
    const before = keep && select.options.length ? select.value : null;
    select.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
    select.value = choices.some(([value]) => value === before) ? before : fallback;
  };

  // Which standings and numbers the chosen view shows.
  const model = { chosen: false, own: "" };  // whether the reader or the address chose it, and what the board would choose
  const boardOf = () => data.boards.find((board) => boardName(board) === view.elements.questions.value) ?? data.boards[0];
  const boardName = (board) => `${board.judge}: ${board.title}`;
  const titles = (places, names) => places.map((at) => [names[at], names[at]]);
  const prepare = () => {
    const board = boardOf();
    const models = view.elements.rows.value === "models";
    const methods = Object.keys(board.models).filter((key) => key !== ALL).map(Number).sort((a, b) => a - b);
    const best = board.methods[ALL].auroc[0];
    offer(view.elements.measure, (models ? MEASURES : QUALITY).map((name) => [name, data.measures[name].title]), QUALITY[0]);
    // The mean is over methods that every model has; where these are few, the model that has the most comes first.
    const ranked = (key) => board.methods[key].auroc.length;
    const widest = board.labels.reduce((one, other) => (ranked(other) > ranked(one) ? other : one));
    model.own = board.labels.length > 1 && 2 * ranked(ALL) < ranked(widest) ? data.labels[widest] : "";
    offer(view.elements.model, [["", board.labels.length > 1 ? "mean of all" : data.labels[board.labels[0]]], ...(board.labels.length > 1 ? titles(board.labels, data.labels) : [])], model.own, model.chosen);
    offer(view.elements.method, titles(methods, data.methods), best ? data.methods[best[0]] : data.methods[methods[0]] ?? "");
    view.elements.model.disabled = models;
    view.elements.method.disabled = !models || view.elements.measure.value === "accuracy";
  };
  const chosen = () => {
    const board = boardOf();
    const models = view.elements.rows.value === "models";
    const measure = view.elements.measure.value;
    const at = QUALITY.indexOf(measure);
    const label = board.labels.find((one) => data.labels[one] === view.elements.model.value) ?? ALL;
    const method = data.methods.indexOf(view.elements.method.value);
    const quality = (run, key) => data.runs[run].quality[key]?.[at];
    let standings, every, cell;
    if (models) {
      standings = (measure === "accuracy" ? board.models[ALL] : board.models[method] ?? {})[measure] ?? [];
      every = board.labels;
      cell = (key, set) => {
        const run = board.runs[board.labels.indexOf(key)][set];
        return measure === "accuracy" ? data.runs[run].accuracy : quality(run, method);
      };
    } else {
      standings = board.methods[label][measure];
      every = [...new Set(board.runs.flat().flatMap((run) => Object.keys(data.runs[run].quality).map(Number)))];
      const row = board.labels.indexOf(label);
      cell = (key, set) => (label === ALL ? board.together[set][key]?.[at] : quality(board.runs[row][set], key));
    }
    const ranked = new Map(standings.map(([key, ...found]) => [key, found]));
    const rest = every.filter((key) => !ranked.has(key)).sort((a, b) => a - b);
    const names = models ? data.labels : data.methods;
    const rows = [...ranked.keys(), ...rest].map((key) => {
      const [value = null, stderr = null, few = 0, low, high] = ranked.get(key) ?? [];
      return { name: names[key], mean: [value, stderr, few], low, high, cells: board.sets.map((_, set) => cell(key, set)) };
    });
    return { board, models, measure, method: data.methods[method], label, rows, ranked: standings.length };
  };

  // One sentence: which is best, and how many cannot be told apart from the best.
  const tell = ({ board, models, measure, method, label, rows, ranked }) => {
    const verdict = document.getElementById("verdict");
    if (!ranked) { verdict.textContent = "Nothing can be ranked over these questions."; return; }
    const [first] = rows;
    const tied = rows.slice(1, ranked).filter((row) => row.low === 1).length;
    const title = data.measures[measure].title.slice(0, -2);
    const over = board.sets.length > 1 ? ` over ${board.sets.length} tasks` : ` on ${data.sets[board.sets[0]].task}`;
    const by = models ? (measure === "accuracy" ? "" : ` by ${method}`) : `, ${label !== ALL ? data.labels[label] : board.labels.length > 1 ? `${board.labels.length} models` : data.labels[board.labels[0]]}`;
    const others = ranked - 1;
    const told = !others ? "" : !tied ? ` It is significantly better than the other${others > 1 ? ` ${others}` : ""}.` : ` ${tied} of the other ${others} may be first, too: nothing is significantly better.`;
    verdict.replaceChildren("Best: ", element("strong", {}, isolated(first.name)), `, ${board.sets.length > 1 ? "mean " : ""}${title} `, ...number(first.mean), over, isolated(by), ".", told);
  };

  // The table of ranks.
  let shownRows = [];
  const columns = ({ board, models, measure }) => [
    { key: "name", title: models ? "Model" : "Method", first: 1, value: (row) => row.name },
    { key: "rank", title: "Rank", first: 1, value: (row) => (row.low === undefined ? NaN : row.low + row.high) },
    { key: "mean", title: board.sets.length > 1 ? `Mean ${data.measures[measure].title}` : data.measures[measure].title, first: data.measures[measure].higher ? -1 : 1, value: (row) => row.mean[0] ?? NaN },
    ...(board.sets.length > 1 ? board.sets.map((set, at) => ({
      key: data.sets[set].task + (board.sets.filter((one) => data.sets[one].task === data.sets[set].task).length > 1 ? ` ${data.sets[set].detail}` : ""),
      title: data.sets[set].task, detail: data.sets[set].detail, first: data.measures[measure].higher ? -1 : 1, value: (row) => row.cells[at]?.[0] ?? NaN,
    })) : []),
  ];
  const draw = () => {
    const now = chosen();
    const heads = columns(now);
    const key = sorted.sort.replace(/^-/, "");
    const head = heads.find((one) => one.key === key);
    if (!head) sorted.sort = "";
    const best = now.ranked ? now.rows[0] : null;
    const sign = sorted.sort.startsWith("-") ? -1 : 1;
    const order = (a, b) => {
      const [one, other] = [head.value(a), head.value(b)];
      if (typeof one === "string") return sign * one.localeCompare(other, undefined, { numeric: true });
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return sign * (one - other);
    };
    const rows = head ? [...now.rows].sort(order) : now.rows;
    const asked = words(view.elements.find.value);
    shownRows = rows.filter((row) => asked.every((word) => row.name.toLowerCase().includes(word)));
    const table = document.getElementById("ranks");
    table.setAttribute("aria-label", now.models ? "Models by rank" : "Methods by rank");
    table.tHead.replaceChildren(element("tr", {}, ...heads.map((one) => {
      const state = one === head ? (sign > 0 ? "ascending" : "descending") : !head && one.key === "mean" ? (one.first > 0 ? "ascending" : "descending") : null;
      const button = element("button", { type: "button", "data-key": one.key }, isolated(one.title));
      button.addEventListener("click", () => {
        const direction = state === (one.first > 0 ? "ascending" : "descending") ? -one.first : one.first;
        sorted.sort = (direction < 0 ? "-" : "") + one.key;
        draw();
        remember();
        [...table.tHead.querySelectorAll("button")].find((other) => other.dataset.key === one.key).focus();
        announce(`Sorted by ${one.title}, ${direction > 0 ? "ascending" : "descending"}`);
      });
      return element("th", { scope: "col", "aria-sort": state }, button, ...(one.detail ? [element("small", {}, one.detail)] : []));
    })));
    table.tBodies[0].replaceChildren(...shownRows.map((row) => element("tr", { class: row === best ? "first" : null },
      element("th", { scope: "row" }, isolated(row.name)),
      element("td", { class: "rank" }, row.low === undefined ? "–" : place(row.low, row.high)),
      element("td", { class: "mean" }, ...number(row.mean), ...(row === best ? [element("span", { class: "visually-hidden" }, " best")] : [])),
      ...(now.board.sets.length > 1 ? row.cells.map((cell) => element("td", {}, ...number(cell))) : []),
    )));
    tell(now);
    offerCsv(now);
  };

  // The table of ranks as a file, in the order that is shown; a text that a spreadsheet would run begins with '.
  const quoted = (value) => {
    if (typeof value === "number") return String(value);
    const text = String(value ?? "").replace(/(^|;)(?=\s*[=+\-@＝＋－＠])/g, "$1'");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  let file = "";
  const offerCsv = ({ board, models, measure }) => {
    const lines = [
      [models ? "model" : "method", "measure", "rank_best", "rank_worst", "mean", "mean_stderr", ...board.sets.flatMap((set) => {
        const title = `${data.sets[set].task} (${data.sets[set].detail})`;
        return [title, `${title} stderr`];
      })],
      ...shownRows.map((row) => [row.name, measure, row.low, row.high, row.mean[0], row.mean[1], ...row.cells.flatMap((cell) => [cell?.[0], cell?.[1]])]),
    ];
    URL.revokeObjectURL(file);
    file = URL.createObjectURL(new Blob([lines.map((one) => `${one.map(quoted).join(",")}\n`).join("")], { type: "text/csv" }));
    document.getElementById("view-csv").href = file;
  };

  // A model over its checkpoints or dates: a line for each choice of settings.
  const lineName = (one) => `${one.family}: ${data.sets[one.set].task} (${data.sets[one.set].detail})`;
  const linesOf = () => data.histories.filter((one) => lineName(one) === line.elements.line.value);
  const prepareLine = () => {
    const keys = new Set(linesOf().flatMap((one) => one.points.flatMap(([run]) => Object.keys(data.runs[run].quality).map(Number))));
    const methods = [...keys].sort((a, b) => a - b);
    const best = data.boards[0]?.methods[ALL].auroc[0]?.[0];
    offer(line.elements.shown, titles(methods, data.methods), data.methods[keys.has(best) ? best : methods[0]] ?? "");
    line.elements.shown.disabled = line.elements.along.value === "accuracy";
  };
  const svg = (tag, attributes, ...inside) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const steps = (low, high, about) => {
    const raw = (high - low) / about || 1;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * unit).find((one) => one >= raw);
    const ticks = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) ticks.push(Number(at.toPrecision(12)));
    return ticks;
  };
  const drawLine = () => {
    const [measure, method] = [line.elements.along.value, data.methods.indexOf(line.elements.shown.value)];
    const at = QUALITY.indexOf(measure);
    const lines = linesOf();
    const byStep = lines.every((one) => one.step);
    const found = lines.map((one) => ({
      name: one.settings,
      points: one.points.map(([run, date, step, name]) => ({
        x: byStep ? step : Date.parse(date), name: byStep ? name : date.slice(0, 16).replace("T", " "),
        number: measure === "accuracy" ? data.runs[run].accuracy : data.runs[run].quality[method]?.[at],
      })).filter((point) => point.number && point.number[0] !== null && !Number.isNaN(point.x)),
    })).filter((one) => one.points.length);
    const what = `${data.measures[measure].title.slice(0, -2)}${measure === "accuracy" ? "" : ` of ${line.elements.shown.value}`}, percent`;
    document.getElementById("line-caption").replaceChildren(isolated(line.elements.line.value), element("small", {}, `${what}; bars: one standard error; across: ${byStep ? "checkpoints" : "dates"}`));
    const chart = document.getElementById("chart");
    const points = found.flatMap((one) => one.points.map((point) => ({ ...point, line: one.name })));
    document.getElementById("points").tHead.replaceChildren(element("tr", {}, ...[byStep ? "Checkpoint" : "Date", "Settings", what].map((text, n) => element("th", { scope: "col", class: n < 2 ? "text" : null }, text))));
    document.getElementById("points").tBodies[0].replaceChildren(...points.map((point) => element("tr", {}, element("th", { scope: "row" }, isolated(point.name)), element("td", { class: "text" }, isolated(point.line || "–")), element("td", {}, ...number(point.number)))));
    if (!points.length) { chart.replaceChildren("No run has this number."); return; }
    const [width, height, left, bottom, top, right] = narrow.matches ? [360, 230, 40, 34, 10, 8] : [720, 300, 48, 40, 10, 16];
    const spread = points.flatMap(({ number: [value, stderr] }) => [100 * (value - (stderr ?? 0)), 100 * (value + (stderr ?? 0))]);
    const [low, high] = [Math.min(...spread), Math.max(...spread)];
    const pad = (high - low) * 0.08 || 1;
    const xs = points.map((point) => point.x);
    const [begin, end] = [Math.min(...xs), Math.max(...xs)];
    const x = (value) => left + (end === begin ? 0.5 : (value - begin) / (end - begin)) * (width - left - right - 20) + 10;
    const y = (value) => height - bottom - ((value - low + pad) / (high - low + 2 * pad)) * (height - bottom - top);
    const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "line-caption" });
    for (const tick of steps(low - pad, high + pad, 5)) drawn.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }), svg("text", { class: "tick", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
    // A label under each point whose neighbour leaves it the space.
    let free = -Infinity;
    for (const point of [...points].sort((a, b) => a.x - b.x)) {
      const text = byStep ? String(point.x) : point.name.slice(0, 10);
      const half = 3.4 * text.length;
      const middle = Math.min(Math.max(x(point.x), left + half), width - half);
      if (middle - half < free) continue;
      free = middle + half + 8;
      drawn.append(svg("text", { class: "tick", x: middle, y: height - bottom + 20, "text-anchor": "middle" }, text));
    }
    found.forEach((one, n) => {
      const slot = `slot${(n % 6) + 1}`;
      const path = one.points.map((point) => `${x(point.x)},${y(100 * point.number[0])}`).join(" ");
      drawn.append(svg("polyline", { class: `series on ${slot}`, points: path }));
      for (const { x: across, name, number: [value, stderr] } of one.points) {
        const group = svg("g", { class: slot });
        if (stderr !== null) group.append(svg("line", { class: "bar", x1: x(across), x2: x(across), y1: y(100 * (value - stderr)), y2: y(100 * (value + stderr)) }));
        group.append(svg("circle", { class: "dot", cx: x(across), cy: y(100 * value), r: 4 }, svg("title", {}, `${name}: ${percent(value, stderr)}${stderr === null ? "" : ` ± ${percent(stderr, stderr)}`}`)));
        drawn.append(group);
      }
    });
    const keys = found.length > 1 ? [element("p", {}, ...found.map((one, n) => element("span", { class: "key" }, svg("svg", { viewBox: "0 0 18 12", "aria-hidden": "true" }, svg("line", { class: `series on slot${(n % 6) + 1}`, x1: 0, x2: 18, y1: 6, y2: 6 })), isolated(one.name))))] : [];
    chart.replaceChildren(...keys, drawn);
  };

  // All runs: a row stays if it fits every filter and has the typed words anywhere.
  const runs = document.getElementById("board");
  const CELLS = { by: (row) => row.cells[0].querySelector("a"), label: (row) => row.cells[1], task: (row) => row.cells[2], judge: (row) => row.cells[10] };
  const filter = () => {
    const { best, newest, search } = filters.elements;
    const asked = words(search.value);
    let shown = 0;
    for (const row of runs.tBodies[0].rows) {
      const fits = Object.entries(CELLS).every(([name, cell]) => !filters.elements[name].value || cell(row).textContent.trim() === filters.elements[name].value);
      const kept = (!best.checked || "best" in row.dataset) && (!newest.checked || "newest" in row.dataset);
      const text = row.textContent.toLowerCase();
      row.hidden = !(fits && kept && asked.every((word) => text.includes(word)));
      shown += row.hidden ? 0 : 1;
    }
    document.getElementById("shown").textContent = `${shown} of ${runs.tBodies[0].rows.length} rows`;
  };
  const orderButtons = [...runs.tHead.querySelectorAll("button")];
  for (const button of orderButtons) {
    button.addEventListener("click", () => {  // after the handler that sorts
      sorted.order = (button.closest("th").ariaSort === "descending" ? "-" : "") + button.textContent.trim();
      remember();
    });
  }

  // The address holds what differs from the first view, so that a link opens the same one.
  const fields = () => forms.flatMap((form) => [...form.elements]).filter((one) => one.name && one.type !== "fieldset");
  const read = (one) => (one.type === "checkbox" ? (one.checked ? "1" : "") : one.value);
  let first = null;
  const state = () => {
    const found = {};
    for (const one of fields()) if (one.type !== "radio" || one.checked) found[one.name] = read(one);
    return { ...found, ...sorted };
  };
  const remember = () => {
    const now = Object.entries(state()).filter(([name, value]) => value !== (name === "model" ? model.own : first[name]));
    const hash = now.length ? `#${new URLSearchParams(now)}` : location.pathname + location.search;
    history.replaceState(null, "", hash);
  };
  const refresh = () => {
    if (view) { prepare(); draw(); }
    if (line) { prepareLine(); drawLine(); }
    filter();
  };
  const restore = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    if (!location.hash.includes("=") && first) return;  // a link to a section leaves the view as it is
    const value = (name) => wanted.get(name) ?? first?.[name];
    model.chosen = wanted.has("model");
    for (const round of [1, 2]) {  // what may be chosen depends on other choices
      for (const one of fields()) {
        const now = value(one.name);
        if (now === undefined || now === null) continue;
        if (one.type === "radio") one.checked = one.value === now;
        else if (one.type === "checkbox") one.checked = now === "1";
        else if (one.tagName !== "SELECT" || [...one.options].some((option) => option.value === now)) one.value = now;
      }
      sorted.sort = value("sort") ?? "";
      if (round === 1) refresh();
    }
    refresh();
    const order = value("order") ?? "";
    const button = orderButtons.find((one) => one.textContent.trim() === order.replace(/^-/, ""));
    const direction = order.startsWith("-") ? "descending" : "ascending";
    for (let clicks = 0; button && clicks < 2 && button.closest("th").ariaSort !== direction; clicks += 1) button.click();
  };

  if (view) {
    const groups = Map.groupBy ? Map.groupBy(data.boards, (one) => one.judge) : new Map([["", data.boards]]);
    view.elements.questions.replaceChildren(...[...groups].flatMap(([judge, boards]) => {
      const options = boards.map((one) => element("option", { value: boardName(one) }, groups.size > 1 || judge ? one.title : boardName(one)));
      return groups.size > 1 ? [element("optgroup", { label: judge }, ...options)] : options;
    }));
    document.querySelector(".downloads").hidden = false;
    document.getElementById("copy").addEventListener("click", async () => {
      remember();
      const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
      announce(copied ? "The link is copied" : "The link is in the address bar");
      document.getElementById("copy").textContent = copied ? "The link is copied" : "The link is in the address bar";
    });
  }
  if (line) {
    document.getElementById("history").hidden = false;
    offer(line.elements.line, [...new Set(data.histories.map(lineName))].map((name) => [name, name]), lineName(data.histories[0]));
    offer(line.elements.along, MEASURES.map((name) => [name, data.measures[name].title]), QUALITY[0]);
  }
  const fold = () => { for (const one of document.querySelectorAll("details.controls")) one.open = !narrow.matches; };
  for (const one of document.querySelectorAll("details.controls")) one.hidden = false;
  fold();
  narrow.addEventListener("change", () => { fold(); refresh(); });
  refresh();
  first = state();
  // Heard before the form is.
  for (const kind of ["input", "change"]) view?.elements.model.addEventListener(kind, () => { model.chosen = true; });
  for (const form of forms) {
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => { refresh(); remember(); });
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  addEventListener("hashchange", restore);
  if (location.hash.includes("=")) restore();
})();
