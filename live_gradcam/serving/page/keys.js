// Keys: those of the window, out of the server's table of commands, and a few of the page's own.

const OWN_ROWS = [
	{ name: "exact", keys: "eE", keys_name: "e", key_arguments: [], teaching: false },
	{ name: "full-screen", keys: "zZ", keys_name: "z", key_arguments: [], teaching: false },
];
const OTHER_KEYS = { view: { keys: "vV", keys_name: "v" } }; // Tab goes through the controls here
const LEFT_OUT = ["quit"];
const HOLD = "teach-collect"; // a held key collects until it is let go

export class Keys {
	/**
	 * @param {object[]} rows of the server's table of commands
	 * @param {object} actions `command(name, argument)`, `hold(index)`, `release()`, `escape()`, and `isTeaching()`
	 */
	constructor(rows, actions) {
		const used = rows.filter(({ name }) => !LEFT_OUT.includes(name));
		this.rows = [...used, ...OWN_ROWS].map((row) => ({ ...row, ...OTHER_KEYS[row.name] }));
		this.actions = actions;
		this.holding = null;
	}

	/** The rows that have keys now; those of teaching go first. */
	get now() {
		const isTeaching = this.actions.isTeaching();
		const rows = this.rows.filter(({ keys, teaching }) => keys && (isTeaching || !teaching));
		return rows.sort((one, other) => other.teaching - one.teaching);
	}

	/** What a person calls the keys, and the command's name: [[keys, name]]. */
	get help() {
		const taken = new Set();
		return this.now.flatMap(({ name, keys, keys_name }) => {
			const isFree = [...keys].some((key) => !taken.has(key));
			for (const key of keys) taken.add(key);
			return isFree ? [[keys_name, name]] : [];
		});
	}

	find(character) {
		const row = this.now.find(({ keys }) => keys.includes(character));
		return row && { name: row.name, argument: row.key_arguments[row.keys.indexOf(character)] };
	}

	/** @param {AbortSignal} signal ends it */
	listen(target, signal) {
		target.addEventListener("keydown", (event) => this.down(event), { signal });
		target.addEventListener("keyup", ({ code }) => code === this.holding && this.letGo(), { signal });
		addEventListener("blur", () => this.letGo(), { signal });
	}

	down(event) {
		const { key, target } = event;
		const isIn = (selector) => Boolean(target.closest?.(selector));
		if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
		if (key === "Escape") return this.actions.escape();
		if (key.length !== 1 || isIn("input[type=text], select")) return;
		if (key === " " && isIn("button, input")) return; // which the space bar presses
		const command = this.find(key);
		if (!command) return;
		event.preventDefault();
		if (event.repeat) return;
		if (command.name === HOLD) {
			this.holding = event.code;
			this.actions.hold(command.argument);
		} else this.actions.command(command.name, command.argument);
	}

	letGo() {
		if (this.holding === null) return;
		this.holding = null;
		this.actions.release();
	}
}
