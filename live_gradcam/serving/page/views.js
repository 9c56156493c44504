// What is shown of an explained picture, drawn into a canvas: one pane, or several beside one another.

import { sizeOf } from "./capture.js";
import { mapOf, regionOf } from "./maps.js";
import { percent, t } from "./texts.js";

const GAP = 6;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

/** What a map shows: "tabby", "tabby > tiger cat" for a contrast, "against tabby" for what speaks against it. */
export function mapName(answer, position = 0) {
	const map = mapOf(answer, position);
	let name = map.contrast_label ? `${map.target_label} > ${map.contrast_label}` : map.target_label;
	if (answer.against) name = t("against", { name });
	return map.empty ? t("emptyMap", { name }) : name;
}

/** How sure the network is of a prediction, or its value, as text. */
export function amountOf({ probability, value }) {
	return value === undefined ? percent(probability) : value.toPrecision(3);
}

function panesOf(view, answer) {
	const overlay = { style: "overlay", map: 0 };
	if (!answer?.explanation) return [{ style: "raw" }];
	if (view === "side-by-side") return [{ style: "raw" }, overlay];
	if (view !== "grid") return [{ ...overlay, style: view }];
	return Array.from({ length: answer.maps.count }, (_, map) => {
		const target = mapOf(answer, map).target;
		const prediction = answer.explanation.predictions.find(({ index }) => index === target);
		return { style: "overlay", map, index: target, title: mapName(answer, map), amount: prediction ? amountOf(prediction) : "" };
	});
}

/** In how many columns panes of an aspect are largest. Returns the panes' corners and sizes. */
function arranged(count, aspect, width, height, strip) {
	let best = { wide: 0 };
	for (let columns = 1; columns <= count; columns++) {
		const rows = Math.ceil(count / columns);
		const [across, down] = [(width + GAP) / columns - GAP, (height + GAP) / rows - GAP - strip];
		const wide = Math.floor(Math.min(across, down * aspect) + 1e-6);
		if (wide > best.wide) best = { columns, rows, wide };
	}
	const { columns, rows, wide } = best;
	const tall = Math.round(wide / aspect);
	const [stepX, stepY] = [wide + GAP, tall + strip + GAP];
	return Array.from({ length: count }, (_, place) => {
		const row = Math.floor(place / columns);
		const inRow = Math.min(columns, count - row * columns); // the last row stands in the middle, too
		const x = (width + GAP - inRow * stepX) / 2 + (place % columns) * stepX;
		const y = (height + GAP - rows * stepY) / 2 + row * stepY;
		return { x: Math.round(x), y: Math.round(y), width: wide, height: tall };
	});
}

/**
 * Draw a view.
 * @param {CanvasRenderingContext2D} context of a canvas that is drawn over
 * @param {object} shown `picture` (a video, canvas or bitmap), `answer` (or null), `maps`, `look`
 * @returns {Array} where a class can be clicked on: [{x, y, width, height, index}] in the canvas's pixels
 */
export function compose(context, { picture, answer, maps, look }) {
	const { width, height } = context.canvas;
	const [wide, tall] = sizeOf(picture);
	context.clearRect(0, 0, width, height);
	if (!wide || !tall) return [];
	const panes = panesOf(look.view, answer);
	const size = Math.max(12, Math.round(Math.min(width, height) / 32));
	const strip = look.view === "grid" && answer?.explanation ? 2 * size : 0;
	const places = arranged(panes.length, wide / tall, width, height, strip);
	panes.forEach((pane, position) => {
		const place = { ...places[position], y: places[position].y + strip };
		drawPane(context, place, pane, { picture, answer, maps, look });
		if (strip) drawTitle(context, places[position], pane, size);
	});
	return panes.flatMap(({ index }, position) =>
		index === undefined ? [] : [{ ...places[position], height: places[position].height + strip, index }],
	);
}

function drawPane(context, { x, y, width, height }, { style, map = 0 }, { picture, answer, maps, look }) {
	context.save();
	context.beginPath();
	context.rect(x, y, width, height);
	context.clip();
	context.translate(look.mirror ? x + width : x, y);
	if (look.mirror) context.scale(-1, 1);
	context.imageSmoothingQuality = "low"; // bilinear, as the program enlarges its maps
	if (style !== "heatmap") context.drawImage(picture, 0, 0, width, height);
	if (style !== "raw" && maps.isReady(answer, look)) {
		const isAlone = style === "heatmap";
		if (isAlone) {
			context.fillStyle = maps.ground(answer, look);
			context.fillRect(0, 0, width, height);
		}
		const region = regionOf(answer);
		const place = [region.left * width, region.top * height, region.width * width, region.height * height];
		context.drawImage(maps.paint(answer, map, look, isAlone), ...place);
	}
	if (look.boxes && answer?.explanation) drawBoxes(context, width, height, answer, map);
	context.restore();
}

/** The boxes of a map, the largest region's in a thicker line, into the upper left width × height of a canvas. */
export function drawBoxes(context, width, height, answer, position = 0) {
	const { boxes } = mapOf(answer, position);
	const [across, down] = [width / answer.frame.width, height / answer.frame.height];
	const thin = Math.max(1, Math.round(Math.min(width, height) / 360));
	[...boxes.entries()].reverse().forEach(([place, [left, top, right, bottom]]) => {
		const thickness = place ? thin : 2 * thin;
		for (const [colour, more] of [["#000", 2 * thin], ["#fff", 0]]) {
			context.strokeStyle = colour;
			context.lineWidth = thickness + more;
			context.strokeRect(left * across, top * down, (right - left) * across, (bottom - top) * down);
		}
	});
}

function drawTitle(context, { x, y, width }, { title, amount }, size) {
	context.fillStyle = "#16191d";
	context.fillRect(x, y, width, 2 * size);
	context.fillStyle = "#fff";
	context.font = `600 ${size}px ${FONT}`;
	context.textBaseline = "middle";
	const room = width - size - (amount ? context.measureText(amount).width + size / 2 : 0);
	context.textAlign = "left";
	context.fillText(shortened(context, title, room), x + size / 2, y + size);
	context.textAlign = "right";
	context.fillText(amount, x + width - size / 2, y + size);
}

/** Write what the network sees into the lower left corner, for pictures and films that leave the page. */
export function drawCaption(context, answer) {
	if (!answer?.explanation) return;
	const { width, height } = context.canvas;
	const size = Math.max(11, Math.round(Math.min(height / 26, width / 34)));
	const rows = answer.explanation.predictions.slice(0, 3);
	const [wide, tall] = [Math.min(width, 20 * size), Math.round((1.6 * rows.length + 0.8) * size)];
	const [left, top] = [Math.round(0.7 * size), height - tall - Math.round(0.7 * size)];
	context.fillStyle = "rgb(12 14 17 / 0.72)";
	context.fillRect(left, top, wide, tall);
	context.textBaseline = "middle";
	rows.forEach((prediction, row) => {
		const middle = top + (1.6 * row + 1.2) * size;
		const isTarget = prediction.index === answer.explanation.target;
		context.font = `${isTarget ? 700 : 400} ${size}px ${FONT}`;
		context.fillStyle = "#fff";
		context.textAlign = "right";
		const amount = amountOf(prediction);
		context.fillText(amount, left + wide - size / 2, middle);
		context.textAlign = "left";
		const room = wide - size - context.measureText(amount).width - size / 2;
		context.fillText(shortened(context, prediction.label, room), left + size / 2, middle);
	});
}

function shortened(context, text, room) {
	if (context.measureText(text).width <= room) return text;
	let length = text.length;
	while (length && context.measureText(`${text.slice(0, length)}…`).width > room) length--;
	return `${text.slice(0, length).trimEnd()}…`;
}
