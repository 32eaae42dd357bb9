// What a page does where scripts run: tables sort, figures tell their numbers, a
// slider walks through layers. Without scripts all of it is there to read.
'use strict';
(() => {
  const UNITS = {
    ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, '%': 0.01,
    B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, PiB: 2 ** 50,
  };
  const make = (tag, properties, ...children) => {
    const e = Object.assign(document.createElement(tag), properties);
    e.append(...children);
    return e;
  };
  const text = (e) => (e ? e.textContent.trim() : '');

  // ---- tables ----

  // A cell as it is compared: its number, without one its text.
  const key = (cell) => {
    const t = text(cell);
    const m = /^(-?\d[\d.]*(?:e[+-]?\d+)?)(?:\s*([a-zA-Z%]+))?/.exec(t);
    if (t === 'n/a' || t === '') return { none: true };
    if (m) return { number: Number(m[1]) * (UNITS[m[2]] || 1) };
    return { text: t };
  };
  const compare = (a, b) => {
    if (a.none || b.none) return (a.none ? 1 : 0) - (b.none ? 1 : 0);
    if (a.number !== undefined && b.number !== undefined) return a.number - b.number;
    return String(a.text ?? a.number).localeCompare(String(b.text ?? b.number));
  };
  // A name that stands for the rows below it, too, goes where they go.
  const fillNames = (rows) => {
    let name = '';
    for (const row of rows) {
      const cell = row.cells[0];
      if (text(cell) !== '') name = text(cell);
      else if (name !== '') {
        cell.textContent = name;
        cell.dataset.filled = '';
      }
    }
  };
  const emptyNames = (rows) => {
    for (const row of rows)
      if ('filled' in row.cells[0].dataset) {
        delete row.cells[0].dataset.filled;
        row.cells[0].textContent = '';
      }
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    const sort = (head, column) => {
      const next = { none: 'ascending', ascending: 'descending', descending: 'none' }[
        head.getAttribute('aria-sort')];
      for (const h of heads) h.setAttribute('aria-sort', 'none');
      head.setAttribute('aria-sort', next);
      emptyNames(rows);
      if (next === 'none') {
        body.append(...rows);
        return;
      }
      fillNames(rows);
      const sign = next === 'ascending' ? 1 : -1;
      const keyed = rows.map((row) => [key(row.cells[column]), row]);
      keyed.sort(([a], [b]) => (a.none || b.none ? compare(a, b) : sign * compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    };
    heads.forEach((head, column) => {
      if (text(head) === '') return;
      const button = make('button', { type: 'button' });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute('aria-sort', 'none');
      button.addEventListener('click', () => sort(head, column));
    });
  };
  for (const table of document.querySelectorAll('.wide > table:not(.facts)'))
    if (table.tHead) sortable(table);

  // ---- figures ----

  const NEAR = 40; // pixels around the pointer
  const tip = make('div', { id: 'tip', hidden: true });
  tip.setAttribute('role', 'status');
  document.body.append(tip);
  let shown = null;
  const hide = () => {
    if (shown) shown.classList.remove('on');
    shown = null;
    tip.hidden = true;
  };
  const show = (point) => {
    if (point !== shown) hide();
    shown = point;
    point.classList.add('on');
    tip.textContent = point.dataset.tip;
    tip.hidden = false;
    const at = point.getBoundingClientRect();
    const x = at.left + at.width / 2 - tip.offsetWidth / 2;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 4;
    tip.style.left = Math.max(4, Math.min(x, room)) + 'px';
    const above = at.top - tip.offsetHeight - 6;
    tip.style.top = (above > 0 ? above : at.bottom + 6) + 'px';
  };
  const nearest = (points, x, y) => {
    let best = null, least = NEAR;
    for (const point of points) {
      const at = point.getBoundingClientRect();
      const far = Math.hypot(at.left + at.width / 2 - x, at.top + at.height / 2 - y);
      if (far < least) {
        least = far;
        best = point;
      }
    }
    return best;
  };
  for (const svg of document.querySelectorAll('figure > svg')) {
    const points = [...svg.querySelectorAll('.tip')];
    if (points.length === 0) continue;
    for (const point of points) {
      const title = point.querySelector('title');
      point.dataset.tip = text(title);
      title.remove();
    }
    let at = -1; // of the point that was shown last
    svg.setAttribute('tabindex', '0');
    svg.addEventListener('pointermove', (e) => {
      const point = nearest(points, e.clientX, e.clientY);
      if (!point) return hide();
      at = points.indexOf(point);
      show(point);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', (e) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (e.key === 'Escape') hide();
      if (!step) return;
      e.preventDefault();
      at = at < 0 && step < 0 ? points.length - 1 : (at + step + points.length) % points.length;
      show(points[at]);
    });
  }
  addEventListener('scroll', hide, { passive: true });

  // ---- layers ----

  const slider = (figure) => {
    const table = [...figure.closest('section').querySelectorAll('table')].find(
      (t) => t.tHead && text(t.tHead.rows[0].cells[0]).startsWith('layer'));
    if (!table) return;
    const heads = [...table.tHead.rows[0].cells].map(text);
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells]);
    const most = Math.max(...rows.flatMap((cells) => cells.slice(2).map(
      (c) => key(c).number || 0)));
    const input = make('input', { type: 'range', min: 0, max: rows.length - 1, value: 0 });
    const output = make('output');
    const bars = make('div', { className: 'bars' });
    const points = [...figure.querySelectorAll('.tip')];
    const choose = () => {
      const cells = rows[input.valueAsNumber];
      const layer = text(cells[0]);
      output.textContent = `layer ${layer}, skewness ${text(cells[1])}`;
      input.setAttribute('aria-valuetext', output.textContent);
      bars.replaceChildren(...cells.slice(2).flatMap((cell, i) => {
        const bar = make('i');
        bar.style.width = (100 * (key(cell).number || 0)) / most + '%';
        return [make('span', {}, heads[i + 2]), make('span', {}, bar),
          make('b', {}, text(cell))];
      }));
      for (const point of points)
        point.classList.toggle('picked', point.dataset.tip.includes(`, layer ${layer}:`));
    };
    input.addEventListener('input', choose);
    const label = make('label', {}, 'Layer ', input);
    figure.querySelector('figcaption').before(
      make('div', { className: 'slider' }, label, output, bars));
    choose();
  };
  for (const figure of document.querySelectorAll('figure[id$="layers"]')) slider(figure);
})();
