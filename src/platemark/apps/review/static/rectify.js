// The rectified mark, rendered again at each step of a drag: pixels are sampled through a homography.

/** The homography (nine numbers, row by row) that takes the unit square to four corners. */
export function fromUnitSquare([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]) {
  // Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3.
  const sx = x0 - x1 + x2 - x3, sy = y0 - y1 + y2 - y3;
  const dx1 = x1 - x2, dy1 = y1 - y2, dx2 = x3 - x2, dy2 = y3 - y2;
  const det = dx1 * dy2 - dx2 * dy1;
  const g = (sx * dy2 - dx2 * sy) / det, h = (dx1 * sy - sx * dy1) / det;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

/** Width and height of what a quad shows upright: the longer of opposite sides. */
export function uprightSize([a, b, c, d]) {
  const far = ([x0, y0], [x1, y1]) => Math.hypot(x1 - x0, y1 - y0);
  return [Math.max(far(a, b), far(d, c)), Math.max(far(b, c), far(a, d))];
}

/** Whether four corners run clockwise around a convex quad. */
export function isConvex(quad) {
  return quad.every(([x, y], i) => {
    const [x1, y1] = quad[(i + 1) % 4], [x2, y2] = quad[(i + 2) % 4];
    return (x1 - x) * (y2 - y1) - (y1 - y) * (x2 - x1) > 0;
  });
}

/**
 * Draw what a quad shows, upright.
 * @param canvas Where to.
 * @param source `{data, width, height, scale}`: RGBA pixels, and how many of them a pixel of the quad is.
 * @param quad Four corners, clockwise from the mark's own top-left.
 * @param most The largest width and height.
 */
export function drawUpright(canvas, source, quad, [mostWidth, mostHeight]) {
  const [width, height] = uprightSize(quad);
  const zoom = Math.min(mostWidth / width, mostHeight / height);
  const w = Math.max(1, Math.round(width * zoom)), h = Math.max(1, Math.round(height * zoom));
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d"), made = context.createImageData(w, h), out = made.data;
  const [a, b, c, d, e, f, g, i] = fromUnitSquare(quad.map(([x, y]) => [x * source.scale, y * source.scale]));
  const { data } = source, right = source.width - 1, bottom = source.height - 1;
  for (let row = 0, at = 0; row < h; row++) {
    const v = (row + 0.5) / h;
    for (let column = 0; column < w; column++, at += 4) {
      const u = (column + 0.5) / w, by = g * u + i * v + 1;
      const x = Math.min(right, Math.max(0, (a * u + b * v + c) / by - 0.5));
      const y = Math.min(bottom, Math.max(0, (d * u + e * v + f) / by - 0.5));
      const left = x | 0, top = y | 0, fx = x - left, fy = y - top;
      const p = 4 * (top * source.width + left);
      const q = left < right ? p + 4 : p, below = top < bottom ? 4 * source.width : 0;
      for (let k = 0; k < 3; k++) {
        out[at + k] = (1 - fy) * ((1 - fx) * data[p + k] + fx * data[q + k])
          + fy * ((1 - fx) * data[p + below + k] + fx * data[q + below + k]);
      }
      out[at + 3] = 255;
    }
  }
  context.putImageData(made, 0, 0);
}
