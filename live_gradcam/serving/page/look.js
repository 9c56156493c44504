// How explained pictures are shown: what the page decides by itself, and the commands that change it.

import { percent, t } from "./texts.js";

const ALPHA_STEP = 0.1;
const WORDS = ["full", "minimal", "none"];

/** What `argument` asks for of a switch: to be so, or to change. */
function switched(now, argument) {
	return typeof argument === "boolean" ? argument : !now;
}

function nextOrNamed(names, now, argument) {
	return names.includes(argument) ? argument : names[(names.indexOf(now) + 1) % names.length];
}

export class Look {
	constructor() {
		Object.assign(this, { view: "overlay", colormap: "turbo", alpha: 0.5, mirror: false, exact: false });
		Object.assign(this, { boxes: false, hud: "full", timings: false, isMirrorChosen: false });
		this.views = [this.view];
		this.colormaps = [this.colormap];
	}

	/** Begin as the server says. */
	begin({ views, colormaps, defaults }) {
		this.views = Object.keys(views);
		this.colormaps = colormaps;
		Object.assign(this, { view: defaults.view, colormap: defaults.colormap, alpha: defaults.alpha });
		if (defaults.mirror !== null) [this.mirror, this.isMirrorChosen] = [defaults.mirror, true];
	}

	/**
	 * Do a command that only changes what is drawn.
	 * @returns {string|null|undefined} a line that says what is so now, or null; undefined for any other command
	 */
	do(name, argument) {
		switch (name) {
			case "view":
				this.view = nextOrNamed(this.views, this.view, argument);
				return t(`view ${this.view}`);
			case "colormap":
				this.colormap = nextOrNamed(this.colormaps, this.colormap, argument);
				return t("colorsAre", { name: this.colormap });
			case "opacity":
				return this.useAlpha(argument);
			case "more-opaque":
				return this.useAlpha(this.alpha + ALPHA_STEP);
			case "less-opaque":
				return this.useAlpha(this.alpha - ALPHA_STEP);
			case "mirror":
				[this.mirror, this.isMirrorChosen] = [switched(this.mirror, argument), true];
				return null;
			case "exact":
				this.exact = switched(this.exact, argument);
				return t(this.exact ? "exact" : "smooth");
			case "hud":
				this.hud = nextOrNamed(WORDS, this.hud, argument);
				return null;
			case "timings":
				this.timings = switched(this.timings, argument);
				return null;
			default:
				return undefined;
		}
	}

	useAlpha(alpha) {
		this.alpha = Math.min(1, Math.max(0, Math.round(100 * alpha) / 100));
		return t("opacityIs", { percent: percent(this.alpha) });
	}

	/** A camera that looks at its user is shown as a mirror, unless the user said otherwise. */
	suit(source) {
		if (!this.isMirrorChosen) this.mirror = source?.kind === "camera" && source.isFront;
	}
}
