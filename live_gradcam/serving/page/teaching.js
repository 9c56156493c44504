// The panel of teaching: a button to hold for each class, names, counts, undo, and the model to take away.

import { button, element, write } from "./dom.js";
import { percent, said, t } from "./texts.js";

const NOTHING = 0; // the class of all that is none of the others

/** Whether there are pictures of any class. */
export function hasPictures(panel) {
	return Boolean(panel?.rows.some(({ count }) => count));
}

export class Teaching {
	/** @param {object} actions `command(name, argument)`, `hold(index)`, `release()`, `download()` */
	constructor(actions) {
		this.actions = actions;
		this.rows = new Map();
		this.list = element("ul.taught");
		this.note = element("p.note");
		this.undo = button("wide", "undo", "undo", () => actions.command("teach-undo"));
		this.save = button("wide", "download", "download", () => actions.download());
		const finish = element("button.wide", { text: "finish", click: () => actions.command("teach", false) });
		const help = element("p.note", { text: "teachHelp" });
		this.root = element("div", {}, help, this.list, this.note, element("div.row", {}, this.undo, this.save), finish);
	}

	/** @param {object|null} panel what the server says of the teaching */
	show(panel) {
		if (!panel) return;
		const known = new Map(panel.rows.map((row) => [row.index, row]));
		const others = panel.is_ready ? [panel.free, NOTHING].filter((index) => index !== null) : [];
		const shown = new Set([...known.keys(), ...others]);
		for (const [index, row] of this.rows) {
			if (shown.has(index)) continue;
			row.root.remove();
			this.rows.delete(index);
		}
		const inOrder = [...shown].sort((one, other) => (one || 10) - (other || 10)); // "nothing" stands last, as its key does
		inOrder.forEach((index, place) => {
			if (!this.rows.has(index)) this.rows.set(index, this.makeRow(index));
			const row = this.rows.get(index);
			if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
			this.showRow(row, index, known.get(index));
		});
		const accuracy = panel.accuracy === null ? t("noAccuracy") : t("accuracy", { percent: percent(panel.accuracy) });
		write(this.note, panel.is_ready ? accuracy : t("preparing"));
		this.undo.disabled = !hasPictures(panel);
		this.save.disabled = !panel.can_save;
	}

	makeRow(index) {
		const release = () => this.actions.release();
		const press = (event) => {
			if (event.button > 0) return;
			event.preventDefault(); // no selection while it is held
			row.hold.setPointerCapture(event.pointerId);
			row.hold.focus();
			this.actions.hold(index);
		};
		const isPress = ({ key }) => key === " " || key === "Enter";
		const listeners = {
			pointerdown: press,
			pointerup: release,
			pointercancel: release,
			blur: release,
			contextmenu: (event) => event.preventDefault(),
			keydown: (event) => {
				if (!isPress(event)) return;
				event.preventDefault();
				if (!event.repeat) this.actions.hold(index);
			},
			keyup: (event) => isPress(event) && release(),
		};
		const rename = () => row.name.value.trim() && this.actions.command("teach-name", `${index}=${row.name.value.trim()}`);
		const typed = { type: "text", maxlength: 60, autocomplete: "off", spellcheck: "false" };
		const keydown = ({ key }) => key === "Enter" && row.name.blur();
		const key = element("span.key", { "aria-hidden": "true" }, String(index));
		const row = { count: element("span.count"), mark: element("p.mark") };
		row.hold = element("button.hold", listeners, key, element("span.held", { text: "hold" }), row.count);
		row.name = element("input", { ...typed, change: rename, keydown });
		row.root = element("li", {}, row.name, row.hold, row.mark);
		return row;
	}

	showRow(row, index, known) {
		const count = known?.count ?? 0;
		const called = known?.name ?? t(index === NOTHING ? "nothingClass" : "newClass");
		if (document.activeElement !== row.name) row.name.value = known?.name ?? "";
		row.name.placeholder = called;
		row.name.disabled = !known;
		row.name.setAttribute("aria-label", t("nameOf", { index }));
		row.hold.setAttribute("aria-label", t("holdFor", { name: called, count }));
		row.hold.classList.toggle("collecting", Boolean(known?.is_collecting));
		write(row.count, String(count));
		write(row.mark, said({ text: known?.note ?? "" }));
	}

	/** Let a person type the name of a class. */
	focusName(index) {
		this.rows.get(index)?.name.focus();
		this.rows.get(index)?.name.select();
	}
}
