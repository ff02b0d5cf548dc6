"use strict";

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.classList.toggle("number", [...body.rows].some((row) => row.cells[column].dataset.value !== undefined));
    head.querySelector("button").addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [a, b].map((row) => row.cells[column]);
        const [p, q] = [x, y].map((cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)));
        if (Number.isNaN(p) !== Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1; // what has no number comes last
        const order = Number.isNaN(p) ? x.textContent.localeCompare(y.textContent) : p - q;
        return rising ? order : -order;
      });
      body.append(...rows);
    });
  });
}

for (const label of document.querySelectorAll(".filter")) {
  const rows = [...label.nextElementSibling.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  label.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, n) => (row.hidden = !words.every((word) => texts[n].includes(word))));
  });
}
