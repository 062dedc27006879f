"use strict";
(() => {
  const value = (text) => {
    const clock = text.match(/^(?:(\d+):)?(\d+):(\d+) (?:min|h)/);
    if (clock) return 3600 * Number(clock[1] || 0) + 60 * Number(clock[2]) + Number(clock[3]);
    return /^[+\u2212-]?[\d.]/.test(text) ? parseFloat(text.replace("\u2212", "-")) : NaN;
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    return isNaN(x) ? a.localeCompare(b) : x - y;
  };
  const sort = (table, column, down) => {
    const body = table.tBodies[0];
    const text = (row) => row.cells[column].textContent.trim();
    const isNumber = (row) => !isNaN(value(text(row)));
    const rows = [...body.rows].sort((a, b) =>
      down && isNumber(a) === isNumber(b) ? compare(text(b), text(a)) : compare(text(a), text(b)));
    body.append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort");
        const down = before ? before === "ascending" : column > 0;
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }
})();
