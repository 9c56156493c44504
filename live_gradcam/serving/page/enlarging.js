// A small map made larger as OpenCV's INTER_CUBIC does it: levels 0…255 in, levels out, saturated and rounded.

const A = -0.75;

const weightsOf = new Map();

/** For each place within a cell, the weights of the four levels around it: Float64Array (factor · 4). */
function weights(factor) {
	if (!weightsOf.has(factor)) {
		const table = new Float64Array(4 * factor);
		for (let place = 0; place < factor; place++) {
			const at = (place + 0.5) / factor - 0.5;
			const x = at - Math.floor(at);
			const first = ((A * (x + 1) - 5 * A) * (x + 1) + 8 * A) * (x + 1) - 4 * A;
			const second = ((A + 2) * x - (A + 3)) * x * x + 1;
			const third = ((A + 2) * (1 - x) - (A + 3)) * (1 - x) * (1 - x) + 1;
			table.set([first, second, third, 1 - first - second - third], 4 * place);
		}
		weightsOf.set(factor, table);
	}
	return weightsOf.get(factor);
}

/** The four cells around a place of the large map, within the map. */
function around(place, factor, cells) {
	const cell = Math.floor((place + 0.5) / factor - 0.5);
	return [-1, 0, 1, 2].map((step) => Math.min(cells - 1, Math.max(0, cell + step)));
}

/**
 * @param {Uint8Array} levels height · width of them, row by row
 * @param {number} factor how many times larger it gets on either side
 * @returns {Uint8ClampedArray} (factor · height) · (factor · width) levels
 */
export function enlarge(levels, height, width, factor) {
	const table = weights(factor);
	const [tall, wide] = [factor * height, factor * width];
	const rows = new Float64Array(height * wide);
	for (let x = 0; x < wide; x++) {
		const at = 4 * (x % factor);
		const [a, b, c, d] = [table[at], table[at + 1], table[at + 2], table[at + 3]];
		const [x0, x1, x2, x3] = around(x, factor, width);
		for (let y = 0; y < height; y++) {
			const row = y * width;
			rows[y * wide + x] = a * levels[row + x0] + b * levels[row + x1] + c * levels[row + x2] + d * levels[row + x3];
		}
	}
	const large = new Uint8ClampedArray(tall * wide); // which saturates and rounds
	for (let y = 0; y < tall; y++) {
		const at = 4 * (y % factor);
		const [a, b, c, d] = [table[at], table[at + 1], table[at + 2], table[at + 3]];
		const [y0, y1, y2, y3] = around(y, factor, height).map((row) => wide * row);
		const start = y * wide;
		for (let x = 0; x < wide; x++) {
			large[start + x] = a * rows[y0 + x] + b * rows[y1 + x] + c * rows[y2 + x] + d * rows[y3 + x];
		}
	}
	return large;
}

// A map that is finer than any screen gains nothing.
const MOST_PIXELS = 512 * 512;

/** How many times larger a map is drawn: 16 as the program does it, less where the map is large by itself. */
export function factorFor(height, width) {
	let factor = 16;
	while (factor > 1 && factor * factor * height * width > MOST_PIXELS) factor /= 2;
	return factor;
}
