// The label beside the picture: what the network sees, as a list of classes that can be kept, and how fast it goes.

import { element, mark, write } from "./dom.js";
import { t } from "./texts.js";
import { amountOf, mapName } from "./views.js";

const UPDATES_PER_SECOND = 8; // numbers that change with each frame cannot be read
// A screen reader says what is seen when it has been the same for a while, and not too often.
const STEADY_SECONDS = 1.5;
const QUIET_SECONDS = 4;

export class Label {
	/** @param {function} command takes a name and an argument */
	constructor(command) {
		this.command = command;
		this.state = null;
		this.mode = null; // what the next press on a class does in place of keeping it: "pin-add" or "contrast"
		this.rows = [];
		this.saidAt = this.sameSince = 0;
		this.resting = null; // the timer until numbers may change again
		this.late = null; // the newest answer that came while they could not
		this.name = element("p.seen");
		this.amount = element("p.amount");
		this.heading = element("div.heading", {}, this.name, this.amount);
		this.list = element("ol.classes", { label: "classes" });
		this.pinned = element("p.pinned");
		const follow = element("button.small", { text: "follow", click: () => command("track") });
		const modeButton = (mode, text) =>
			element("button.small", { text, "aria-pressed": "false", click: () => this.setMode(this.mode === mode ? null : mode) });
		this.modes = { "pin-add": modeButton("pin-add", "another"), contrast: modeButton("contrast", "contrast") };
		this.pins = element("div.pins", {}, follow, ...Object.values(this.modes));
		this.ramp = element("canvas.ramp", { width: 256, height: 1 });
		[this.weakest, this.strongest] = [element("span"), element("span")];
		[this.made, this.rates] = [element("p"), element("p.rates")];
		this.times = element("dl.times", { hidden: true });
		this.live = element("p.unseen", { role: "status", "aria-live": "polite" });
		const scale = element("div.scale", {}, this.ramp, this.weakest, this.strongest);
		const keeping = element("div.keeping", {}, this.pinned, this.pins);
		const foot = element("div.foot", {}, scale, this.made, this.rates, this.times);
		this.root = element("div.label", {}, this.list, keeping, foot, this.live);
		this.showState(null);
		this.clear();
	}

	setMode(mode) {
		this.mode = mode;
		for (const [name, button] of Object.entries(this.modes)) mark(button, "aria-pressed", name === mode);
	}

	/** Show which classes are kept. */
	showState(state) {
		this.state = state;
		const names = state?.pinned_names ?? [];
		write(this.pinned, names.length ? t("explains", { names: names.join(", ") }) : t("topClass"));
		this.pins.classList.toggle("off", !names.length);
		if (!names.length) this.setMode(null);
		this.rest(0);
	}

	/** A class was chosen: keep it, or let it go. */
	pick(index) {
		const pinned = this.state?.pinned ?? [];
		const isAlone = pinned.length === 1 && pinned[0].index === index && pinned[0].against == null;
		if (isAlone && !this.mode) this.command("track");
		else this.command(this.mode ?? "pin", index);
		this.setMode(null);
	}

	/** Show an answer, or after a moment the newest of those that come too fast to be read. */
	show(answer, parts) {
		if (this.resting) return (this.late = [answer, parts]);
		this.rest(1000 / UPDATES_PER_SECOND);
		this.showNow(answer, parts);
	}

	/** Let the numbers stand for some milliseconds: what came meanwhile is shown after them, for it may be the last. */
	rest(milliseconds) {
		clearTimeout(this.resting);
		this.resting = setTimeout(() => {
			const { late } = this;
			this.resting = this.late = null;
			if (late) this.show(...late);
		}, milliseconds);
	}

	/** `table` are the colours of an answer's map, `latency` the milliseconds from the camera to the page. */
	showNow(answer, { table, latency, timings }) {
		this.showRates(answer, latency, timings);
		const { explanation } = answer;
		if (!explanation) {
			if (this.state?.compiling) return; // which the banner says
			return this.empty(t(answer.is_untaught ? "untaught" : "black"));
		}
		const name = mapName(answer);
		const target = explanation.predictions.find(({ index }) => index === explanation.target);
		write(this.name, name);
		write(this.amount, target ? amountOf(target) : "");
		this.showRows(explanation);
		this.showScale(answer, table);
		write(this.made, `${answer.model} · ${answer.method} · ${answer.layer}`);
		this.say(name, performance.now() / 1000);
	}

	showRows({ predictions, target }) {
		while (this.rows.length < predictions.length) this.addRow();
		const pinned = new Set((this.state?.pinned ?? []).map(({ index }) => index));
		this.rows.forEach((row, place) => {
			const prediction = predictions[place];
			row.root.hidden = !prediction;
			if (!prediction) return;
			const { index, label, probability, finest } = prediction;
			const amount = amountOf(prediction);
			const share = probability === undefined ? "0" : probability.toFixed(3);
			row.index = index;
			write(row.name, label);
			write(row.finest, finest && finest.label !== label ? finest.label : "");
			write(row.amount, amount);
			if (row.share !== share) row.bar.style.transform = `scaleX(${(row.share = share)})`;
			mark(row.button, "aria-pressed", pinned.has(index));
			mark(row.button, "aria-label", t("pinHint", { name: label, amount }));
			row.root.classList.toggle("target", index === target);
		});
	}

	addRow() {
		const row = { index: null };
		for (const name of ["name", "finest", "amount", "bar"]) row[name] = element(`span.${name}`);
		const key = element("span.key", { "aria-hidden": "true" }, String((this.rows.length + 1) % 10));
		const track = element("span.track", { "aria-hidden": "true" }, row.bar);
		// What is chosen is what stood there as the finger came down: the list may change before it goes up.
		const pointerdown = () => (row.chosen = row.index);
		const click = ({ detail }) => this.pick(detail === 0 ? row.index : (row.chosen ?? row.index));
		row.button = element("button.class", { pointerdown, click }, key, row.name, row.finest, row.amount, track);
		row.root = element("li", {}, row.button);
		this.rows.push(row);
		this.list.append(row.root);
	}

	showScale(answer, table) {
		if (table && table !== this.table) {
			this.table = table;
			const context = this.ramp.getContext("2d");
			const image = context.createImageData(256, 1);
			for (let level = 0; level < 256; level++) image.data.set([...table.subarray(3 * level, 3 * level + 3), 255], 4 * level);
			context.putImageData(image, 0, 0);
		}
		write(this.weakest, `0 ${t(answer.against ? "counter" : "evidence")}`);
		write(this.strongest, String(Number(answer.full_scale.toPrecision(2))));
	}

	showRates({ rate, viewers, milliseconds }, latency, timings) {
		const rates = [t("frameRate", { rate: rate.toFixed(1) })];
		if (latency !== null) rates.push(`${latency.toFixed(0)} ms`);
		if (viewers !== undefined) rates.push(t("viewers", { count: viewers }));
		write(this.rates, rates.join(" · "));
		this.times.hidden = !timings;
		if (!timings) return;
		const all = latency === null ? milliseconds : { ...milliseconds, trip: latency };
		const row = ([stage, ms]) => [element("dt", {}, t(`time ${stage}`)), element("dd", {}, `${ms.toFixed(1)} ms`)];
		this.times.replaceChildren(...Object.entries(all).flatMap(row));
	}

	say(name, now) {
		if (name !== this.current) [this.current, this.sameSince] = [name, now];
		const isDue = now - this.sameSince > STEADY_SECONDS && now - this.saidAt > QUIET_SECONDS;
		if (!isDue || name === this.said) return;
		[this.said, this.saidAt] = [name, now];
		write(this.live, name);
	}

	/** Nothing is seen any more, or not yet. */
	clear() {
		this.late = null;
		this.empty(t("nothingYet"));
		for (const node of [this.made, this.rates]) write(node, "");
	}

	/** Say why no class is named. */
	empty(text) {
		write(this.name, text);
		for (const row of this.rows) row.root.hidden = true;
		for (const node of [this.amount, this.weakest, this.strongest]) write(node, "");
	}
}
