// Files for the person at the page: snapshots, films, the taught model.

import { sizeOf } from "./capture.js";
import { compose, drawCaption } from "./views.js";

const SCHEMA = 1;
const FORMATS = [
	["video/mp4;codecs=avc1.42E01F", "mp4"],
	["video/webm;codecs=vp9", "webm"],
	["video/webm;codecs=vp8", "webm"],
	["video/webm", "webm"],
];
const BITS_PER_SECOND = 6_000_000;
const FILM_RATE = 30;

/** A name with the time of now, as the program gives them. */
export function timestamped(suffix) {
	const now = new Date();
	const two = (number) => String(number).padStart(2, "0");
	const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
	const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
	return `live-gradcam-${day}-${time}-${String(now.getMilliseconds()).padStart(3, "0")}${suffix}`;
}

/** Give a person a file. */
export function download(blob, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
	link.download = name;
	document.body.append(link);
	link.click();
	link.remove();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may still be reading it
}

/** The numbers of an explained picture, in the pixels of that picture: docs/json.md, "Snapshots". */
export function snapshotJson(answer, { width, height }, time) {
	const { model, method, layer, frame, explanation, full_scale } = answer;
	const about = { schema: SCHEMA, time, width, height, model, method, layer };
	if (!explanation) return { ...about, full_scale };
	const [across, down] = [width / frame.width, height / frame.height];
	const scaled = (sides, round) => sides?.map((side, place) => round(side * (place % 2 ? down : across))) ?? sides;
	const onPicture = (map) => ({
		...map,
		box: scaled(map.box, Math.round),
		boxes: map.boxes?.map((box) => scaled(box, Math.round)),
	});
	const region = scaled(explanation.region, (side) => Math.round(1000 * side) / 1000);
	const maps = explanation.maps ? { maps: explanation.maps.map(onPicture) } : {};
	return { ...about, ...onPicture(explanation), region, ...maps, heatmap: heatmap(answer), full_scale };
}

function heatmap({ maps: { height, width, signed }, levels }) {
	const value = (level) => (signed ? (((level << 24) >> 24) / 127 / 1.75) ** 2 : level / 255); // what is signed is a root
	const row = (y) => Array.from(levels.subarray(y * width, (y + 1) * width), (level) => Number(value(level).toFixed(6)));
	return Array.from({ length: height }, (_, y) => row(y));
}

/**
 * The files of a snapshot: [name, Blob] of what is seen, of the picture alone, and of the numbers.
 * @param {object} shown `picture`, its `time` in seconds, the `answer` to it, `maps`, `look`
 */
export async function snapshotFiles(shown) {
	const { picture, answer, time, look } = shown;
	const canvas = document.createElement("canvas");
	[canvas.width, canvas.height] = [picture.width, picture.height];
	const context = canvas.getContext("2d");
	context.drawImage(picture, 0, 0);
	const clean = png(canvas); // of the pixels that are there now
	compose(context, shown);
	if (look.hud !== "none") drawCaption(context, answer);
	const seen = png(canvas);
	const numbers = JSON.stringify(snapshotJson(answer, picture, time), null, 2);
	const name = timestamped("");
	return [
		[`${name}.png`, await seen],
		[`${name}-clean.png`, await clean],
		[`${name}.json`, new Blob([numbers, "\n"], { type: "application/json" })],
	];
}

function png(canvas) {
	return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Records what is seen. */
export class Film {
	/** @param {Stage} stage */
	constructor(stage) {
		this.stage = stage;
		this.recorder = null;
	}

	get isOn() {
		return this.recorder !== null;
	}

	get seconds() {
		return this.isOn ? Math.floor((performance.now() - this.begunAt) / 1000) : 0;
	}

	/** @returns {boolean} whether this browser can */
	start() {
		const format = globalThis.MediaRecorder && FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
		const { seen } = this.stage;
		this.canvas = document.createElement("canvas");
		if (!format || !seen || !this.canvas.captureStream) return false;
		const even = (side) => Math.max(2, 2 * Math.round(side / 2)); // as H.264 wants it
		const [width, height] = sizeOf(seen);
		[this.canvas.width, this.canvas.height] = [even(width), even(height)];
		this.context = this.canvas.getContext("2d", { alpha: false });
		this.draw();
		const [mimeType, suffix] = format;
		const stream = this.canvas.captureStream(FILM_RATE);
		this.recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: BITS_PER_SECOND });
		this.suffix = suffix;
		this.parts = [];
		this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
		this.recorder.start(1000);
		this.begunAt = performance.now();
		return true;
	}

	/** What is seen has changed. */
	draw() {
		if (!this.stage.seen) return;
		this.stage.compose(this.context);
		if (this.stage.look.hud !== "none") drawCaption(this.context, this.stage.answer);
	}

	/** @returns {Promise<[string, Blob]>} the name and the film */
	stop() {
		const { recorder } = this;
		this.recorder = null;
		return new Promise((resolve) => {
			recorder.onstop = () => resolve([timestamped(`.${this.suffix}`), new Blob(this.parts, { type: recorder.mimeType })]);
			recorder.stop();
			for (const track of recorder.stream.getTracks()) track.stop();
		});
	}
}
