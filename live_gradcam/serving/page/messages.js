// The messages between the page and its server: docs/page-messages.md says what each byte means.

export const VERSION = 1;

// Flags of a frame.
export const FIRST_OF_SOURCE = 1;
export const STILL = 2;

const FRAME = 1;
const FRAME_HEADER = 24;
const ANSWER_HEADER = 16;
export const WATCHED = 3;

const decoder = new TextDecoder();

/** A frame, ready to be sent: a Blob, so that nobody copies the JPEG. `time` is in seconds. */
export function packFrame({ id, flags, time, jpeg }) {
	const header = new DataView(new ArrayBuffer(FRAME_HEADER));
	header.setUint8(0, VERSION);
	header.setUint8(1, FRAME);
	header.setUint8(3, flags);
	header.setUint32(4, id, true);
	header.setFloat64(8, time, true);
	return new Blob([header.buffer, jpeg]);
}

/**
 * An answer: the fields of its JSON, with `id`, `isWatched`, `levels` (the bytes of all maps, one after the other) and
 * `jpeg` (bytes; empty but for a watched frame).
 */
export function parseAnswer(buffer) {
	const header = new DataView(buffer);
	if (header.byteLength < ANSWER_HEADER || header.getUint8(0) !== VERSION) throw new Error("this answer is of another version");
	const [textLength, jpegLength] = [header.getUint32(8, true), header.getUint32(12, true)];
	const json = JSON.parse(decoder.decode(new Uint8Array(buffer, ANSWER_HEADER, textLength)));
	const { count, height, width } = json.maps;
	const start = ANSWER_HEADER + textLength;
	return {
		...json,
		id: header.getUint32(4, true),
		isWatched: header.getUint8(1) === WATCHED,
		levels: new Uint8Array(buffer, start, count * height * width),
		jpeg: new Uint8Array(buffer, start + count * height * width, jpegLength),
	};
}
