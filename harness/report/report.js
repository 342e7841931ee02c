/* SPDX-License-Identifier: Apache-2.0
 * Draws each case: the given value with its limits and the windows of the requirement, below it the reaction. */
"use strict";
(function () {
  const COLOURS = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989"];
  const BANDS = { cause: "rgba(110,119,129,.14)", confirm: "rgba(212,167,44,.22)", flag: "rgba(9,105,218,.14)", safe: "rgba(207,34,46,.13)" };
  const stepped = uPlot.paths.stepped({ align: 1 });

  function drawOver(figure, withLines) {
    return function (plot) {
      const ctx = plot.ctx, box = plot.bbox;
      ctx.save();
      ctx.beginPath(); ctx.rect(box.left, box.top, box.width, box.height); ctx.clip();
      for (const band of figure.bands) {
        const x0 = plot.valToPos(band.from_s, "x", true), x1 = plot.valToPos(band.until_s, "x", true);
        ctx.fillStyle = BANDS[band.role]; ctx.fillRect(x0, box.top, Math.max(x1 - x0, 1), box.height);
      }
      ctx.lineWidth = devicePixelRatio;
      if (withLines) for (const line of figure.lines) {
        const y = plot.valToPos(line.value, "y", true);
        ctx.strokeStyle = "#cf222e"; ctx.setLineDash(line.label === "limit" || line.label === "hazard limit" ? [] : [4, 4]);
        ctx.beginPath(); ctx.moveTo(box.left, y); ctx.lineTo(box.left + box.width, y); ctx.stroke();
        ctx.fillStyle = "#cf222e"; ctx.font = 11 * devicePixelRatio + "px sans-serif"; ctx.textAlign = "right";
        if (line.label.indexOf("accuracy") < 0) ctx.fillText(line.label + " " + Number(line.value.toPrecision(6)) + " " + figure.unit, box.left + box.width - 4, y - 4);
      }
      if (figure.mark_s !== null) {
        const x = plot.valToPos(figure.mark_s, "x", true);
        ctx.strokeStyle = "#1b1f24"; ctx.setLineDash([2, 3]); ctx.beginPath(); ctx.moveTo(x, box.top); ctx.lineTo(x, box.top + box.height); ctx.stroke();
      }
      ctx.restore();
    };
  }

  function join(series, end) {
    const tables = series.map(function (s) {
      const t = s.t_s.slice(), v = s.value.slice();
      if (t.length && t[t.length - 1] < end) { t.push(end); v.push(v[v.length - 1]); }
      return [t, v];
    });
    return tables.length ? uPlot.join(tables) : [[0, end], [null, null]];
  }

  function rangeOf(figure) {
    return function (_plot, low, high) {
      for (const line of figure.lines) { low = Math.min(low, line.value); high = Math.max(high, line.value); }
      const pad = (high - low || Math.abs(high) || 1) * 0.08;
      return [low - pad, high + pad];
    };
  }

  function options(figure, width, height, series, yAxis, scaleY, withLines, sync) {
    return {
      width: width, height: height, cursor: { sync: { key: sync } }, legend: { live: true },
      scales: { x: { time: false, range: [0, figure.duration_s] }, y: scaleY },
      series: [{ label: "t [s]", value: function (_u, v) { return v == null ? "" : v.toFixed(3); } }].concat(series),
      axes: [{ label: "time since the start of the scenario [s]", size: 42, labelSize: 18 }, yAxis],
      hooks: { drawAxes: [drawOver(figure, withLines)] },
    };
  }

  function draw(index, figure) {
    const target = document.getElementById("plot-" + index), width = Math.max(target.clientWidth, 320), sync = "case" + index;
    const values = figure.curves.map(function (c, i) {
      return { label: c.label + (figure.unit ? " [" + figure.unit + "]" : ""), stroke: COLOURS[i % COLOURS.length], width: 1.6, paths: stepped, points: { show: false }, spanGaps: true };
    });
    if (values.length) new uPlot(options(figure, width, 270, values, { label: figure.unit ? "value [" + figure.unit + "]" : "value", size: 70 }, { range: rangeOf(figure) }, true, sync), join(figure.curves, figure.duration_s), target);
    if (figure.lanes.length) {
      const n = figure.lanes.length;
      const lanes = figure.lanes.map(function (lane, i) { return { label: lane.label, t_s: lane.t_s, value: lane.value.map(function (v) { return v == null ? null : (n - 1 - i) * 1.5 + (v ? 1 : 0); }) }; });
      const series = lanes.map(function (lane, i) { return { label: lane.label, stroke: COLOURS[(i + 1) % COLOURS.length], width: 2, paths: stepped, points: { show: false }, spanGaps: true, value: function (_u, v) { return v == null ? "" : (v - (n - 1 - i) * 1.5 > 0.5 ? "1" : "0"); } }; });
      const axis = { size: 70, label: "off / on", splits: function () { return lanes.flatMap(function (_l, i) { return [(n - 1 - i) * 1.5, (n - 1 - i) * 1.5 + 1]; }); }, values: function (_u, splits) { return splits.map(function (v) { return v % 1.5 ? "1" : "0"; }); } };
      new uPlot(options(figure, width, 70 + 36 * n, series, axis, { range: [-0.3, n * 1.5] }, false, sync), join(lanes, figure.duration_s), target);
    }
    if (figure.bands.length) {
      const key = document.createElement("div"); key.className = "key";
      for (const band of figure.bands) {
        const item = document.createElement("span"), swatch = document.createElement("i");
        swatch.style.background = BANDS[band.role]; item.append(swatch, band.label + " (" + band.from_s.toFixed(2) + " to " + band.until_s.toFixed(2) + " s)"); key.append(item);
      }
      target.append(key);
    }
  }

  for (let index = 0; document.getElementById("data-" + index); index++) {
    draw(index, JSON.parse(document.getElementById("data-" + index).textContent));
  }
})();
