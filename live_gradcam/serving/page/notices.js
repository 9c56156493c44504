// Lines over the picture: a notice for a few seconds, a banner for what goes on, a card for what a person has to do.

import { element, write } from "./dom.js";
import { t } from "./texts.js";

const NOTICE_SECONDS = 4;
const KINDS = ["connection", "starting", "compiling", "paused"];

export class Notices {
	constructor() {
		const polite = { role: "status", "aria-live": "polite" };
		this.notice = element("p.notice", polite);
		this.banner = element("p.banner", polite);
		this.card = element("div.card", { hidden: true });
		this.film = element("p.film", { hidden: true });
		this.caption = element("p.caption", { "aria-hidden": "true" }); // what is seen, where no label is beside the picture
		this.root = element("div.notices", {}, this.film, this.caption, this.card, this.banner, this.notice);
		this.banners = {};
	}

	/** Show a line for a few seconds. */
	say(text, isError = false) {
		write(this.notice, text);
		this.notice.className = isError ? "notice error shown" : "notice shown";
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.notice.classList.remove("shown"), 1000 * NOTICE_SECONDS);
	}

	/** Show what goes on until it ends (null). Of several, the first of KINDS is shown. */
	showBanner(kind, text) {
		this.banners[kind] = text;
		const shown = KINDS.map((name) => this.banners[name]).find(Boolean);
		if (shown) write(this.banner, shown);
		this.banner.classList.toggle("shown", Boolean(shown));
	}

	/** Show a card with a title, a text, and what can be done. */
	showCard({ title, text, code, more }, ...buttons) {
		this.card.replaceChildren(
			element("h2", {}, title),
			element("p", {}, text),
			code ? element("pre", { tabindex: "0" }, element("code", {}, code)) : "",
			element("div.actions", {}, ...buttons),
			more ? element("p.note", {}, more) : "",
		);
		this.card.hidden = false;
	}

	showCaption(text) {
		write(this.caption, text);
	}

	/** Show for how many seconds a film is recorded; null for none. */
	showFilm(seconds) {
		this.film.hidden = seconds === null;
		const two = (number) => String(number).padStart(2, "0");
		write(this.film, `${t("record")} ${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`);
	}
}
