"use strict";
const number = (value) =>
  value.toLocaleString("en", Number.isInteger(value) ? {} : { maximumSignificantDigits: 4 });
for (const chart of document.querySelectorAll("svg.chart")) {
  const lines = JSON.parse(chart.dataset.points);
  const cross = chart.querySelector(".cross");
  const readout = chart.closest("figure").querySelector(".readout");
  const places = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  let at = places.length - 1;
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle; else high = middle;
    }
    return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
  };
  const show = (x) => {
    if (!places.length) return;
    at = nearest(places, x);
    cross.setAttribute("x1", places[at]);
    cross.setAttribute("x2", places[at]);
    chart.classList.add("on");
    const told = lines.filter((line) => line.x.length).map((line) => {
      const i = nearest(line.x, places[at]);
      return { across: line.s[i], text: (lines.length > 1 ? line.name + " " : "") + line.v[i] };
    });
    readout.textContent = (chart.dataset.across || "step") + " " + number(told[0].across) + " · " +
      told.map((each) => each.text).join(" · ");
  };
  const hide = () => { chart.classList.remove("on"); readout.textContent = ""; };
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    show((event.clientX - box.left) / box.width * chart.viewBox.baseVal.width);
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("focus", () => show(places[at]));
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { event.preventDefault(); show(places[Math.min(Math.max(at + move, 0), places.length - 1)]); }
  });
}
