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

  // Switches: one of several parts is shown at a time; a link into another one switches to it.
  const choose = (radio) => {
    for (const one of radio.closest(".switch").querySelectorAll("input")) {
      document.getElementById(one.value).hidden = !one.checked;
    }
  };
  for (const fieldset of document.querySelectorAll(".switch")) {
    fieldset.hidden = false;
    fieldset.addEventListener("change", (event) => { choose(event.target); announce(`${event.target.parentNode.textContent.trim()} is shown`); });
    choose(fieldset.querySelector("input"));
  }

  // A link into a closed or hidden part shows it.
  const named = (hash) => {
    try { return document.getElementById(decodeURIComponent(hash)); } catch { return null; } // "%" names no part
  };
  const reveal = () => {
    const target = location.hash.length > 1 && named(location.hash.slice(1));
    const hidden = target && target.closest(".switched > [hidden]");
    const radio = hidden && document.querySelector(`.switch input[value="${hidden.id}"]`);
    if (radio) { radio.checked = true; choose(radio); target.scrollIntoView(); }
    const section = target && target.closest("details");
    if (section && !section.open) { section.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
