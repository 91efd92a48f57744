// Returns the elements that stand out of the window.
() => [...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= innerWidth + 0.5 || one.closest('.sprite, .chips, nav, .sr')) return false;
  for (let up = one.parentElement; up; up = up.parentElement)
    if (getComputedStyle(up).overflowX !== 'visible') return false;
  return true;
}).map((one) => one.outerHTML.slice(0, 120)).concat(
  document.documentElement.scrollWidth > innerWidth ? ['the page is wider than the window'] : [])
