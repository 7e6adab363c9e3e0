"use strict";
(() => {
  const announce = (text) => { document.getElementById("status").textContent = text; };

  // A button that switches between light and dark, beginning with what the system asks for.
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const asked = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || asked) === "dark" ? "light" : "dark";
  });

  // Sortable tables: a heading's button sorts the body by that column; cells without a value stay last.
  const read = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value ?? cell.textContent.trim();
    if (cell.dataset.value === undefined) return value;
    return value === "" ? NaN : Number(value);
  };
  const compare = (a, b, sign) => {
    if (typeof a === "number" && typeof b === "number") {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    }
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  for (const button of document.querySelectorAll("th button[data-column]")) {
    const heading = button.closest("th");
    const table = button.closest("table");
    button.addEventListener("click", () => {
      const first = button.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? other : first;
      for (const one of table.querySelectorAll("th[aria-sort]")) one.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      const column = Number(button.dataset.column);
      const sign = order === "ascending" ? 1 : -1;
      const keyed = [...table.tBodies[0].rows].map((row) => [read(row, column), row]);
      keyed.sort((a, b) => compare(a[0], b[0], sign));
      table.tBodies[0].append(...keyed.map((pair) => pair[1]));
      announce(`Sorted by ${button.textContent.trim()}, ${order}`);
    });
  }

  // Legends: a button lights up its method's line in all charts of its run, in the first free colour.
  for (const legend of document.querySelectorAll(".legend")) {
    const charts = legend.closest(".inside");
    legend.hidden = false;
    for (const button of legend.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        const lines = [...charts.querySelectorAll(".series")].filter((line) => line.dataset.method === button.dataset.method);
        const on = button.getAttribute("aria-pressed") === "true";
        const used = [...legend.querySelectorAll("button[aria-pressed=true]")].map((one) => one.dataset.slot);
        const free = ["1", "2", "3", "4", "5", "6"].find((slot) => !used.includes(slot));
        if (!on && !free) { announce("Six methods are shown already: switch one off first"); return; }
        button.setAttribute("aria-pressed", String(!on));
        const slot = on ? button.dataset.slot : free;
        for (const line of lines) {
          line.classList.remove("on", ...["1", "2", "3", "4", "5", "6"].map((n) => `slot${n}`));
          if (!on) { line.classList.add("on", `slot${slot}`); line.parentNode.append(line); }
        }
        if (on) delete button.dataset.slot; else button.dataset.slot = slot;
      });
    }
  }

  // A link into a closed section opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const section = target && target.closest("details");
    if (section && !section.open) { section.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
