"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by("map-data").textContent);
  const canvas = by("map-canvas"), context = canvas.getContext("2d"), tip = by("map-tip");
  const place = new Map(data.rows.map((row, i) => [row, i]));
  const MARGIN = 12, REACH = 14;
  let method = data.methods[0], label = -1, hovered = -1, chosen = -1;

  const element = (name, text) => {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  };
  const option = (value, text) => {
    const made = element("option", text);
    made.value = value;
    return made;
  };
  const carries = (i) => label < 0 || data.labels[i].includes(label);
  const labelsOf = (i) => data.labels[i].map((c) => data.names[c]).join(", ") || "no label";
  const scoresOf = (i) => method.scores[i].map(([c, s]) => `${data.names[c]} ${s.toFixed(3)}`).join(", ");
  const at = (i) => {
    const size = Math.min(canvas.clientWidth, canvas.clientHeight) - 2 * MARGIN;
    const [x, y] = method.places[i];
    const left = (canvas.clientWidth - size) / 2;
    return [left + (x / data.side) * size, MARGIN + (1 - y / data.side) * size];
  };

  const dot = (i, radius, colour, alpha) => {
    const [x, y] = at(i);
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  };
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const rows = data.rows.map((_, i) => i);
    rows.filter((i) => !carries(i)).forEach((i) => dot(i, 3, "#bbbbbb", 0.35));
    rows.filter(carries).forEach((i) => dot(i, 4, method.colour, 0.75));
    if (chosen >= 0) {
      context.globalAlpha = 0.8;
      context.strokeStyle = "#222222";
      for (const [j] of method.nearest[chosen]) {
        context.beginPath();
        context.moveTo(...at(chosen));
        context.lineTo(...at(j));
        context.stroke();
      }
      dot(chosen, 7, "#222222", 1);
    }
    if (hovered >= 0) dot(hovered, 6, "#222222", 1);
    const number = rows.filter(carries).length;
    const what = label < 0 ? "" : ` carry ${data.names[label]}`;
    by("map-told").textContent = label < 0 ? `${number} rows` : `${number} of ${rows.length} rows${what}`;
  };

  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = REACH;
    data.rows.forEach((_, i) => {
      const [px, py] = at(i);
      const distance = Math.hypot(px - x, py - y);
      if (carries(i) && distance < least) [best, least] = [i, distance];
    });
    return best;
  };
  const hover = (event) => {
    const found = under(event);
    if (found !== hovered) {
      hovered = found;
      draw();
    }
    tip.hidden = found < 0;
    if (found < 0) return;
    tip.replaceChildren(
      element("strong", `row ${data.rows[found]}`), element("div", labelsOf(found)), element("div", scoresOf(found)));
    const [x, y] = at(found);
    tip.style.left = `${Math.max(0, Math.min(x + 12, canvas.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${y + 12}px`;
  };
  const line = (i, similarity) => {
    const made = document.createElement("tr");
    made.append(element("td", String(data.rows[i])), element("td", similarity));
    made.append(element("td", labelsOf(i)), element("td", scoresOf(i)));
    return made;
  };
  const choose = (i) => {
    chosen = i;
    by("map-near").hidden = i < 0;
    if (i >= 0) {
      by("map-row").value = data.rows[i];
      by("map-near-title").textContent = `Row ${data.rows[i]} and the rows nearest to it in ${method.name}`;
      const nearest = method.nearest[i].map(([j, cosine]) => line(j, cosine.toFixed(3)));
      by("map-near-rows").replaceChildren(line(i, "itself"), ...nearest);
    }
    draw();
  };

  data.methods.forEach((each, i) => by("map-method").append(option(i, each.name)));
  const counts = data.names.map((_, c) => data.labels.filter((row) => row.includes(c)).length);
  by("map-label").append(option(-1, "all rows"));
  counts.map((count, c) => [count, c]).filter(([count]) => count).sort((a, b) => b[0] - a[0] || a[1] - b[1])
    .forEach(([count, c]) => by("map-label").append(option(c, `${data.names[c]} (${count})`)));
  by("map-method").addEventListener("change", (event) => {
    method = data.methods[Number(event.target.value)];
    hovered = -1;
    choose(chosen);
  });
  by("map-label").addEventListener("change", (event) => {
    label = Number(event.target.value);
    draw();
  });
  by("map-row").addEventListener("change", (event) => choose(place.get(Number(event.target.value)) ?? -1));
  canvas.addEventListener("mousemove", hover);
  canvas.addEventListener("mouseleave", () => { hovered = -1; tip.hidden = true; draw(); });
  canvas.addEventListener("click", (event) => choose(under(event)));
  window.addEventListener("resize", draw);
  by("map").hidden = false;
  draw();
})();
