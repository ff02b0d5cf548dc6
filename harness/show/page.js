"use strict";

const NEAR = 24; // CSS pixels from a mark within which the pointer means it

// Tables: sorting, filtering, further columns, one group of rows at a time.
for (const table of document.querySelectorAll("table")) {
  const bodies = [...table.tBodies];
  const heads = [...table.tHead.rows[0].cells];
  const rowsOf = (body) => [...body.rows].filter((row) => !row.classList.contains("group"));
  const rows = bodies.flatMap(rowsOf);
  heads.forEach((head, column) => {
    head.classList.toggle("number", rows.some((row) => row.cells[column].dataset.value !== undefined));
    for (const kind of ["number", "extra"]) {
      rows.forEach((row) => row.cells[column].classList.toggle(kind, head.classList.contains(kind)));
    }
    head.querySelector("button").addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      for (const body of bodies) {
        body.append(...rowsOf(body).sort((a, b) => {
          const [x, y] = [a, b].map((row) => row.cells[column]);
          const [p, q] = [x, y].map((cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)));
          if (Number.isNaN(p) !== Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1; // what has no number comes last
          const order = Number.isNaN(p) ? x.textContent.localeCompare(y.textContent) : p - q;
          return rising ? order : -order;
        }));
      }
    });
  });

  const controls = table.closest(".grid").querySelector(".controls");
  const filter = controls.querySelector(".filter input");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, n) => (row.hidden = !words.every((word) => texts[n].includes(word))));
  });
  const more = controls.querySelector(".more input");
  more?.addEventListener("change", () => table.classList.toggle("whole", more.checked));
  const pick = controls.querySelector("select");
  const show = () => bodies.forEach((body, n) => (body.hidden = n !== Number(pick.value)));
  pick?.addEventListener("change", show);
  if (pick) show();
}

// Pictures: every mark knows its row, and by it its solver.
const pointed = JSON.parse(document.getElementById("pointed").textContent);
for (const mark of document.querySelectorAll("[data-row], [data-of]")) {
  const [solver] = pointed[mark.dataset.row ?? mark.dataset.of] ?? [];
  if (solver) mark.dataset.solver = solver;
}

// Solvers switched on and off, in pictures and tables alike.
const boxes = [...document.querySelectorAll(".switches input")];
const buttons = [...document.querySelectorAll(".switches button")];
function switchSolvers() {
  const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  for (const one of document.querySelectorAll("[data-solver]")) {
    one.classList.toggle("off", off.has(one.dataset.solver));
  }
  const left = boxes.length - off.size;
  document.querySelector(".switches .count").textContent = off.size ? `${left} of ${boxes.length}` : "all";
}
boxes.forEach((box) => box.addEventListener("change", switchSolvers));
buttons.forEach((button) => button.addEventListener("click", () => {
  boxes.forEach((box) => (box.checked = Boolean(button.value)));
  switchSolvers();
}));

// What the pointer is on: its values stand beside it, the other solvers step back; a click keeps them there.
const tip = document.querySelector(".tip");
let kept = false;

function tell(number, x, y) {
  const [solver, values, link] = pointed[number];
  const list = document.createElement("dl");
  for (const [name, value] of values) {
    list.append(Object.assign(document.createElement("dt"), { textContent: name }));
    list.append(Object.assign(document.createElement("dd"), { textContent: value }));
  }
  const record = Object.assign(document.createElement("a"), { href: link, textContent: "its record" });
  const name = Object.assign(document.createElement("strong"), { textContent: solver });
  tip.replaceChildren(name, list, ...(link ? [record] : []));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const right = document.documentElement.clientWidth;
  tip.style.left = `${Math.max(4, x + 16 + width > right ? x - 16 - width : x + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 12, window.innerHeight - height - 4))}px`;
}

function close() {
  kept = false;
  tip.hidden = true;
  tip.replaceChildren();
  document.querySelectorAll("svg .faint").forEach((mark) => mark.classList.remove("faint"));
}

for (const svg of document.querySelectorAll("figure svg")) {
  const marks = [...svg.querySelectorAll("[data-row]")].filter((mark) => pointed[mark.dataset.row]);
  const mine = [...svg.querySelectorAll("[data-solver]")];
  let places = null; // centres in the picture's own units, of marks small enough to have one

  const nearest = (event) => {
    const hit = event.target.closest?.("[data-row]:not(.off)");
    if (hit && pointed[hit.dataset.row]) return hit.dataset.row;
    const matrix = svg.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    places ??= marks.map((mark) => [mark, mark.getBBox()])
      .filter(([, box]) => Math.max(box.width, box.height) < 40)
      .map(([mark, box]) => [mark, box.x + box.width / 2, box.y + box.height / 2]);
    let best = null;
    let least = NEAR / matrix.a;
    for (const [mark, x, y] of places) {
      const distance = Math.hypot(x - at.x, y - at.y);
      if (distance < least && !mark.classList.contains("off")) [best, least] = [mark, distance];
    }
    return best?.dataset.row;
  };
  const single = (number) => {
    for (const one of mine) one.classList.toggle("faint", one.dataset.solver !== pointed[number][0]);
  };

  svg.addEventListener("pointermove", (event) => {
    if (kept) return;
    const number = nearest(event);
    if (number === undefined) return close();
    single(number);
    tell(number, event.clientX, event.clientY);
  });
  svg.addEventListener("pointerleave", () => {
    if (!kept) close();
  });
  svg.addEventListener("click", (event) => {
    const number = nearest(event);
    close();
    if (number === undefined) return;
    single(number);
    tell(number, event.clientX, event.clientY);
    kept = true;
  });
}
document.addEventListener("keydown", (event) => event.key === "Escape" && close());
document.addEventListener("scroll", () => kept && close(), { passive: true, capture: true });
document.addEventListener("pointerdown", (event) => {
  if (kept && !tip.contains(event.target) && !event.target.closest("figure svg")) close();
});
