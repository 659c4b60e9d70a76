// Looks at each frame of the page as a reader does, and writes what it sees as JSON into
// the element #seen. A frame is a report at a width and in a colour scheme.
function look(frame) {
  const w = frame.contentWindow, d = frame.contentDocument;
  for (const folded of d.querySelectorAll('details')) folded.open = true;

  const rgb = color => color.match(/[\d.]+/g).map(Number);
  const clear = color => rgb(color).length > 3 && rgb(color)[3] === 0;
  const light = color => {
    const [r, g, b] = rgb(color).slice(0, 3).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    const box = e.closest('svg')?.querySelector('rect');
    if (box) return w.getComputedStyle(box).fill;
    while (e && clear(w.getComputedStyle(e).backgroundColor)) e = e.parentElement;
    return e ? w.getComputedStyle(e).backgroundColor : 'rgb(255, 255, 255)';
  };

  const faint = [], wide = [];
  for (const e of d.body.querySelectorAll('*')) {
    const at = e.getBoundingClientRect(), says = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
    if (at.right > d.documentElement.clientWidth + 1 && !e.parentElement.closest('pre')) wide.push(e.outerHTML.slice(0, 120));
    if (says === '' || e.matches('title')) continue;
    const style = w.getComputedStyle(e), [a, b] = [light(e.closest('svg') ? style.fill : style.color), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(says.slice(0, 40) + ' ' + contrast.toFixed(2));
  }
  return {
    width: d.documentElement.clientWidth,
    scrollWidth: d.documentElement.scrollWidth,
    background: light(w.getComputedStyle(d.body).backgroundColor),
    text: d.body.innerText,
    sections: [...d.querySelectorAll('.step')].map(s => s.innerText),
    drawings: [...d.querySelectorAll('svg')].map(svg => {
      const all = svg.getBoundingClientRect(), boxes = [...svg.querySelectorAll('rect')].map(r => r.getBoundingClientRect());
      const within = (t, box) => t.left >= box.left && t.right <= box.right && t.top >= box.top - 1 && t.bottom <= box.bottom + 1;
      return {
        visible: all.width > 0 && all.height > 0,
        step: [...d.querySelectorAll('.step')].indexOf(svg.closest('.step')),
        boxes: boxes.length,
        arrows: [...svg.querySelectorAll('path:not(.tip)')].filter(p => p.getTotalLength() > 0).length,
        texts: [...svg.querySelectorAll('text')].map(t => t.textContent),
        outside: [...svg.querySelectorAll('text')].filter(t => t.textContent !== '').filter(t => {
          const at = t.getBoundingClientRect();
          return !(t.matches('.said') ? within(at, all) : boxes.some(box => within(at, box)));
        }).map(t => t.textContent),
      };
    }),
    fetched: w.performance.getEntriesByType('resource').map(e => e.name),
    faint, wide,
  };
}
addEventListener('load', () => {
  document.getElementById('seen').textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(look));
});
