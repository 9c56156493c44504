// The page by itself: the server that sent it is the server that it talks to, below the path where a proxy has the page.

import { mount } from "./page.js";
import { ServerTransport } from "./transport.js";

const asked = new URLSearchParams(location.search);
const source = asked.get("source");

// For those who look at it from the browser's console, or measure it.
globalThis.liveGradcam = mount(document.body, new ServerTransport(new URL(".", location).href), {
	clean: asked.get("clean") === "1",
	source: /^\d+$/.test(source ?? "") ? Number(source) : source,
	language: asked.get("lang") ?? undefined,
});
