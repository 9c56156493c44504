// The tools below the picture, and the one panel that a tool opens at a time.

import { button, element, icon } from "./dom.js";
import { t } from "./texts.js";

const PANELS = ["source", "look", "method", "teach", "help"];
const ORDER = ["source", "look", "method", "teach", "pause", "snapshot", "record", "help"];
const TITLES = { teach: "teachTitle", help: "keys" };

export class Toolbar {
	/**
	 * @param {function} act takes "pause", "snapshot" or "record"
	 * @param {function} onOpen told the name of a panel as it opens, null as it closes, and which was open before
	 */
	constructor(act, onOpen) {
		Object.assign(this, { onOpen, open: null, contents: {}, buttons: {} });
		for (const name of ORDER) {
			const isPanel = PANELS.includes(name);
			const attributes = isPanel ? { "aria-expanded": "false", "aria-controls": "panel" } : {};
			const click = () => (isPanel ? this.toggle(name) : act(name));
			this.buttons[name] = button("tool", name, name === "help" ? "keys" : name, click, attributes);
		}
		const all = Object.values(this.buttons); // in two groups: where there is no room for both, one stands below the other
		this.root = element("nav.tools", { label: "tools" }, element("div", {}, ...all.slice(0, 4)), element("div", {}, ...all.slice(4)));
		this.title = element("h2");
		this.body = element("div.body");
		const close = element("button.close", { label: "close", click: () => this.toggle(this.open) }, icon("close"));
		const header = element("header", {}, this.title, close);
		this.panel = element("section.panel", { id: "panel", hidden: true, tabindex: "-1" }, header, this.body);
	}

	/** Open a panel, or close it. */
	toggle(name, isOpen = this.open !== name) {
		const before = this.open;
		this.open = isOpen ? name : null;
		if (before === this.open) return;
		for (const panel of PANELS) this.buttons[panel].setAttribute("aria-expanded", String(panel === this.open));
		const hadFocus = this.panel.contains(this.panel.getRootNode().activeElement);
		this.panel.hidden = !this.open;
		this.showTitle();
		if (this.open) {
			this.body.replaceChildren(this.contents[name] ?? "");
			this.body.scrollTop = 0;
			this.panel.focus({ preventScroll: true });
		} else if (hadFocus) this.buttons[before].focus({ preventScroll: true });
		this.onOpen(this.open, before);
	}

	showTitle() {
		if (this.open) this.title.textContent = t(TITLES[this.open] ?? this.open);
		this.panel.setAttribute("aria-label", this.title.textContent);
	}

	/** Give a tool another icon and text while something goes on, such as a recording. */
	mark(name, isOn, [image, text]) {
		const tool = this.buttons[name];
		const label = tool.querySelector("span");
		tool.classList.toggle("on", isOn);
		if (label.dataset.text !== text) tool.querySelector("svg").replaceWith(icon(image));
		label.dataset.text = text;
		label.textContent = t(text);
	}
}
