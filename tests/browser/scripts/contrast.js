// Texts with a contrast below 4.5 to 1 (WCAG 2.2, 1.4.3) against any colour of their ground.
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const opaque = (colour) => rgba(colour)[3] > 250;
  const grounds = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const { backgroundColor, backgroundImage } = getComputedStyle(one);
      const drawn = (backgroundImage.match(/(?:rgba?|color)\([^()]*\)/g) ?? []).filter(opaque);
      if (drawn.length) return drawn;
      if (opaque(backgroundColor)) return [backgroundColor];
    }
    return ["white"];
  };
  const poor = new Set();
  for (const one of document.querySelectorAll("body *")) {
    const written = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!written || !one.checkVisibility() || one.closest("noscript, [aria-hidden=true]")) continue;
    const text = luminance(rgba(getComputedStyle(one).color));
    for (const ground of grounds(one).map((colour) => luminance(rgba(colour)))) {
      const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
      if (contrast < 4.5) poor.add(`${one.className || one.tagName} "${one.innerText.slice(0, 20)}" ${contrast.toFixed(2)}`);
    }
  }
  return [...poor];
})();
