// The picture on the wall: a video or the explained picture, its map over it, and the views of several panes.

import { resize, sizeOf } from "./capture.js";
import { element } from "./dom.js";
import { mapOf, regionOf } from "./maps.js";
import { compose, drawBoxes } from "./views.js";

/** Hide a node or show it: saying the same again would make the browser look at its style again. */
function hide(node, isHidden) {
	if (node.hidden !== isHidden) node.hidden = isHidden;
}

export class Stage {
	/**
	 * @param {Look} look
	 * @param {Maps} maps
	 * @param {function} onPick takes the index of a class that is clicked on
	 * @param {boolean} isClean whether the map alone is shown, on nothing
	 */
	constructor(look, maps, onPick, isClean) {
		Object.assign(this, { look, maps, isClean });
		this.video = null; // the element that plays; null where pictures come one by one
		this.picture = null; // a canvas or bitmap that is shown in place of the video
		this.answer = null;
		this.areas = []; // where a class can be clicked on
		this.room = { width: 0, height: 0 }; // asking the browser for it with each answer would cost a layout
		this.still = element("canvas.still");
		this.map = element("canvas.map");
		this.marks = element("canvas.marks");
		this.panes = element("canvas.panes", { click: (event) => this.pick(event, onPick) });
		this.layers = element("div.layers", { role: "img", label: "picture" }, this.still, this.map, this.marks);
		this.root = element("div.stage", {}, this.layers, this.panes);
		new ResizeObserver(([{ contentRect }]) => {
			this.room = contentRect;
			this.render();
		}).observe(this.root);
	}

	/** Show a video from now on, or nothing. */
	play(video) {
		this.video?.remove();
		this.video = video;
		this.picture = this.answer = null;
		if (video) this.layers.prepend(video);
		this.render();
	}

	/** Show an answer: over its own picture, or over the video where there is none. Returns the picture before. */
	show(answer, picture) {
		const before = this.picture;
		Object.assign(this, { answer, picture });
		if (picture) {
			resize(this.still, picture.width, picture.height);
			this.still.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
		}
		this.render();
		return before;
	}

	/** What there is to look at: the picture that was explained, or else the video. */
	get seen() {
		return this.picture ?? this.video;
	}

	get hasSize() {
		return Boolean(this.seen && sizeOf(this.seen)[0]);
	}

	/** Whether the view is drawn into one canvas, not laid over the video. */
	get isComposed() {
		return !this.isClean && ["side-by-side", "grid"].includes(this.look.view);
	}

	/** Draw all that follows from the answer, the look and the size of the page. */
	render() {
		const { isComposed } = this;
		this.root.classList.toggle("composed", isComposed);
		this.root.classList.toggle("paintings", this.picture !== null);
		hide(this.layers, isComposed || !this.hasSize);
		if (!this.hasSize) return;
		if (isComposed) return this.tick();
		const [wide, tall] = sizeOf(this.seen);
		this.fit(wide / tall);
		this.layers.classList.toggle("mirrored", this.look.mirror);
		this.renderMap();
		this.renderMarks();
	}

	/** The next frame of the video is there: what is drawn with it is drawn again. */
	tick() {
		if (!this.isComposed || !this.hasSize) return;
		resize(this.panes, ...this.pixels(this.room));
		this.areas = this.compose(this.panes.getContext("2d"));
	}

	compose(context) {
		return compose(context, { picture: this.seen, answer: this.answer, maps: this.maps, look: this.look });
	}

	pixels({ width, height }) {
		return [width, height].map((side) => Math.round(side * (devicePixelRatio || 1)));
	}

	/** As large as the page has room for it, in its own shape, on whole pixels. */
	fit(aspect) {
		const { width, height } = this.room;
		const wide = Math.min(width, Math.round(height * aspect));
		const tall = Math.min(height, Math.round(width / aspect));
		const place = [(width - wide) >> 1, (height - tall) >> 1, wide, tall].map((side) => `${side}px`);
		if (place.join() === this.place) return;
		this.place = place.join();
		this.size = { width: wide, height: tall };
		const { style } = this.layers;
		[style.left, style.top, style.width, style.height] = place;
		const wall = this.root.parentElement.style; // which other things keep to
		wall.setProperty("--aspect", aspect.toFixed(4));
		wall.setProperty("--beside", place[0]);
		wall.setProperty("--below", place[1]);
	}

	renderMap() {
		const { answer, look, isClean, maps } = this;
		const isAlone = look.view === "heatmap" && !isClean;
		const isShown = (look.view !== "raw" || isClean) && maps.isReady(answer, look);
		hide(this.map, !isShown);
		this.layers.classList.toggle("alone", isAlone && isShown);
		const region = isShown ? regionOf(answer) : {};
		const ground = isAlone && isShown ? maps.ground(answer, look) : "";
		const styles = [ground, ...Object.values(region)].join();
		if (styles !== this.styles) {
			this.styles = styles;
			this.layers.style.backgroundColor = ground;
			for (const side in region) this.map.style[side] = `${100 * region[side]}%`;
		}
		if (isShown) maps.paint(answer, 0, look, isAlone, this.map);
	}

	renderMarks() {
		const hasBoxes = this.look.boxes && this.answer?.explanation && mapOf(this.answer).boxes.length > 0;
		hide(this.marks, !hasBoxes);
		if (!hasBoxes) return;
		[this.marks.width, this.marks.height] = this.pixels(this.size); // which empties it
		drawBoxes(this.marks.getContext("2d"), this.marks.width, this.marks.height, this.answer);
	}

	pick({ offsetX, offsetY }, onPick) {
		const scale = this.panes.width / this.room.width;
		const [x, y] = [scale * offsetX, scale * offsetY];
		const area = this.areas.find((one) => x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + one.height);
		if (area) onPick(area.index);
	}
}
