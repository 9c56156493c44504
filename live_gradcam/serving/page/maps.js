// Maps as pictures: levels, made larger, with a colour and an alpha for each.

import { resize } from "./capture.js";
import { enlarge, factorFor } from "./enlarging.js";

const FULL_WEIGHT_FROM = 0.4; // from this share of the maximum on the colour has its full weight; below, it fades out
const AGAINST = "against"; // the colours of what speaks against a class
const GREY = 127.5;

/** The colours of all levels, by name, as the server gives them: loaded when they are first asked for. */
export class ColourTables {
	/**
	 * @param {function} load takes a name, gives a promise of 768 bytes: 256 × RGB
	 * @param {function} onLoad called when one is there
	 */
	constructor(load, onLoad) {
		Object.assign(this, { load, onLoad, tables: new Map() });
	}

	/** 768 bytes, or null while they are being loaded. */
	get(name) {
		if (!this.tables.has(name)) {
			this.tables.set(name, null);
			const keep = (bytes) => {
				this.tables.set(name, new Uint8Array(bytes));
				this.onLoad();
			};
			this.load(name).then(keep, () => this.tables.delete(name)); // and asked for again with the next picture
		}
		return this.tables.get(name);
	}

	of(answer, colormap) {
		return this.get(answer.against ? AGAINST : colormap);
	}
}

/** Of each level its colour and alpha, as the four bytes of a pixel: Uint32Array (256). */
function pixelTable(colours, alpha, isOpaque) {
	return table((level) => {
		const weight = isOpaque ? 1 : alpha * Math.min(1, level / (255 * FULL_WEIGHT_FROM));
		return [...colours.subarray(3 * level, 3 * level + 3), 255 - Math.round(255 * (1 - weight))];
	});
}

/**
 * The same of signed levels (as bytes): light or dark, on grey or over a pale picture. With this grey and weight the
 * picture becomes kept · picture + (1 - kept) · grey + lit, as the program has it; only what saturates is off a little.
 */
function signedTable(alpha, isOpaque) {
	const kept = isOpaque ? 0 : (1 - alpha) ** 2;
	const strength = isOpaque ? 1 : Math.min(1, 2 * alpha);
	return table((level) => {
		const lit = (GREY * strength * ((level << 24) >> 24)) / 127;
		const weight = Math.max(1 - kept, Math.abs(lit) / GREY);
		const grey = GREY + (weight && lit / weight);
		return [grey, grey, grey, 255 * weight];
	});
}

function table(pixelOf) {
	const bytes = new Uint8ClampedArray(4 * 256);
	for (let level = 0; level < 256; level++) bytes.set(pixelOf(level), 4 * level);
	return new Uint32Array(bytes.buffer);
}

/** Draws the maps of an answer. */
export class Maps {
	constructor(tables) {
		this.tables = tables;
		this.answer = this.key = this.table = null;
		this.large = new Map(); // the levels of each map
		this.spare = document.createElement("canvas");
	}

	/** Whether the colours of an answer are there. */
	isReady(answer, look) {
		return Boolean(answer?.explanation && (answer.maps.signed || this.tables.of(answer, look.colormap)));
	}

	/** What a map alone stands on where it does not reach: the colour of no evidence. */
	ground(answer, look) {
		return answer.maps.signed ? "#808080" : `rgb(${this.tables.of(answer, look.colormap).subarray(0, 3).join(" ")})`;
	}

	/**
	 * Paint a map into a canvas, which takes its size. Returns the canvas.
	 * @param {object} answer of which the colours are there
	 * @param {number} position which of its maps
	 * @param {Look} look
	 * @param {boolean} isOpaque whether it is shown without a picture
	 * @param {HTMLCanvasElement} canvas if there is none, one that is used again for the next map
	 */
	paint(answer, position, { colormap, alpha }, isOpaque, canvas = this.spare) {
		const { signed } = answer.maps;
		const key = [signed, answer.against, colormap, alpha, isOpaque].join();
		if (key !== this.key) {
			this.key = key;
			this.table = signed
				? signedTable(alpha, isOpaque)
				: pixelTable(this.tables.of(answer, colormap), alpha, isOpaque);
		}
		const { levels, width, height } = this.levels(answer, position);
		resize(canvas, width, height);
		const context = canvas.getContext("2d");
		const image = context.createImageData(width, height);
		const pixels = new Uint32Array(image.data.buffer);
		for (let place = 0; place < pixels.length; place++) pixels[place] = this.table[levels[place]];
		context.putImageData(image, 0, 0);
		return canvas;
	}

	levels(answer, position) {
		if (this.answer !== answer) this.large.clear();
		this.answer = answer;
		if (!this.large.has(position)) {
			const { height, width, signed } = answer.maps;
			const small = answer.levels.subarray(position * height * width, (position + 1) * height * width);
			const factor = signed ? 1 : factorFor(height, width); // signed detail is made no smoother than it is
			const levels = signed ? small : enlarge(small, height, width, factor);
			this.large.set(position, { levels, width: factor * width, height: factor * height });
		}
		return this.large.get(position);
	}
}

/** What an answer says of one of its maps. */
export function mapOf(answer, position = 0) {
	return answer.explanation.maps?.[position] ?? answer.explanation;
}

/** The region of the frame that the maps cover, in shares of its sides: {left, top, width, height}. */
export function regionOf({ frame, explanation }) {
	const [x, y, width, height] = explanation.region;
	return { left: x / frame.width, top: y / frame.height, width: width / frame.width, height: height / frame.height };
}
