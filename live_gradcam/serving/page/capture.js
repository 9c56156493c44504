// Makes small JPEGs of a source and sends the newest of them: at most two are on their way at a time.

import { FIRST_OF_SOURCE, STILL } from "./messages.js";

const QUALITY = 0.8;
const STILL_QUALITY = 0.95;
const LOST_AFTER = 4000; // milliseconds: an answer that has not come by then will not come
const LONGEST_BACKLOG = 400_000; // bytes that wait in the connection: more would only get older
const MOST_SPARE = 4;

/** The size of a video, canvas or bitmap. */
export function sizeOf(picture) {
	return [picture.videoWidth ?? picture.width, picture.videoHeight ?? picture.height];
}

/**
 * How often a picture is halved before it is sent. The program makes frames smaller by halving, too, as long as both
 * sides are at least twice the input's: halving here gives the same, and costs less on the way.
 */
export function halvings([width, height], input, mostPixels) {
	const isLarge = (width >= 2 * input.width && height >= 2 * input.height) || width * height > mostPixels;
	return isLarge ? 1 + halvings([width >> 1, height >> 1], input, mostPixels) : 0;
}

export class Capture {
	/**
	 * @param {function} send takes {id, flags, time, jpeg}
	 * @param {function} backlog gives the bytes that wait to be sent
	 */
	constructor(send, backlog) {
		Object.assign(this, { send, backlog });
		this.limits = { in_flight: 2, pixels: Infinity };
		this.input = null; // of the network; nothing is sent before it is known
		this.keeps = false; // whether whole pictures are kept, to be shown with their answers
		this.flying = new Map(); // what was sent and not answered, by id
		this.spare = []; // canvases to draw into again
		this.steps = [];
		this.id = 0;
		this.stop();
	}

	/** Send pictures of a video element, or a picture that stands still, from now on. */
	begin({ video = null, picture = null, isNew = true }) {
		Object.assign(this, { video, still: picture, isFirst: isNew });
		this.isFresh = picture !== null;
		this.next();
	}

	stop() {
		this.video = this.still = null;
		this.isFresh = this.isFirst = this.isBusy = false;
		this.flying.clear();
	}

	/** The connection is another one: what was on its way is lost. */
	reset() {
		this.flying.clear();
		this.isFirst = true;
		this.isFresh = this.still !== null;
	}

	/** There is a new picture; or the still one is to be explained again. */
	offer() {
		this.isFresh = true;
		this.next();
	}

	/** An answer has come, which stands for all frames before it, too. Returns its frame: `picture`, `sentAt`, `isStill`. */
	answered(id) {
		const frame = this.flying.get(id);
		for (const [other, { picture }] of this.flying) {
			if (other <= id) this.flying.delete(other);
			if (other < id) this.giveBack(picture);
		}
		queueMicrotask(() => this.next());
		return frame;
	}

	/** A kept picture is not shown any more. */
	giveBack(picture) {
		const isOwn = picture instanceof HTMLCanvasElement && picture !== this.still;
		if (isOwn && this.spare.length < MOST_SPARE && !this.spare.includes(picture)) this.spare.push(picture);
	}

	/** The picture of now, as large as it is: a canvas. */
	grab() {
		const size = sizeOf(this.video);
		return drawn(this.spare.pop() ?? document.createElement("canvas"), this.video, size, size);
	}

	async next() {
		const source = this.video ?? this.still;
		const now = performance.now();
		if (!this.isFresh || this.isBusy || !source || !this.input || !sizeOf(source)[0]) return;
		if (this.backlog() > LONGEST_BACKLOG) return;
		if (this.flying.size >= this.limits.in_flight) {
			if (now - this.sentAt < LOST_AFTER) return;
			this.flying.clear();
		}
		const isStill = this.still !== null;
		const flags = (this.isFirst ? FIRST_OF_SOURCE : 0) | (isStill ? STILL : 0);
		this.isFresh = this.isFirst = false;
		this.isBusy = true;
		const picture = isStill ? source : this.keeps ? this.grab() : null;
		const small = this.small(picture ?? source);
		const jpeg = await new Promise((resolve) => small.toBlob(resolve, "image/jpeg", isStill ? STILL_QUALITY : QUALITY));
		this.isBusy = false;
		if (source === (this.video ?? this.still) && jpeg) {
			const id = ++this.id;
			this.sentAt = now;
			this.flying.set(id, { picture, sentAt: now, isStill });
			this.send({ id, flags, time: now / 1000, jpeg });
		}
		this.next();
	}

	/** A picture at the size in which it is sent: a canvas that is used again for the next one. */
	small(source) {
		let size = sizeOf(source);
		const times = halvings(size, this.input, this.limits.pixels);
		for (let step = 0; step < Math.max(1, times); step++) {
			const half = times ? size.map((side) => side >> 1) : size;
			const from = times ? half.map((side) => 2 * side) : size;
			source = drawn((this.steps[step] ??= document.createElement("canvas")), source, from, half);
			size = half;
		}
		return source;
	}
}

/** Draw the upper left part of a source, of a [width, height], into a canvas of a [width, height]. */
function drawn(canvas, source, from, [width, height]) {
	resize(canvas, width, height);
	const context = canvas.getContext("2d", { alpha: false });
	context.imageSmoothingQuality = "low"; // bilinear: at half the size it is the mean of 2 × 2 pixels
	context.drawImage(source, 0, 0, ...from, 0, 0, width, height);
	return canvas;
}

/** Give a canvas a size, which empties it where it had another one. */
export function resize(canvas, width, height) {
	if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}
