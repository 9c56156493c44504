// The connection to a notebook's kernel: a WebSocket to a server in the kernel, or else the notebook's own messages.
//
// The notebook's messages go to all views of a widget. Each has `link`, the name of the view's connection, or `call`, the
// number of a question, so that a view knows its own.

import { ServerTransport, SocketLink } from "./transport.js";

// A page from elsewhere would only make the browser ask a person whether it may look at their network.
const OWN_MACHINE = ["localhost", "127.0.0.1", "[::1]"];

const newName = () => Math.random().toString(36).slice(2); // a page without https has no better source of names

export class KernelTransport extends ServerTransport {
	/** @param {object} model of anywidget */
	constructor(model) {
		super(location.origin);
		this.model = model;
		this.socket = null; // the address of the server in the kernel, where this browser may try it
		this.calls = new Map();
	}

	async open(listener) {
		this.listener = listener;
		this.hear = (message, buffers) => this.heard(message, buffers);
		this.model.on("msg:custom", this.hear);
		const origin = OWN_MACHINE.includes(location.hostname) ? location.origin : null;
		const { socket } = await this.ask({ type: "greet", origin });
		this.socket = socket;
		if (this.listener) super.open(listener);
	}

	close() {
		super.close();
		this.model.off("msg:custom", this.hear);
	}

	/** The kernel has gone, and will not come back. */
	end() {
		const { listener, link } = this;
		if (!listener) return;
		this.link = null; // a comm that is gone cannot be told so
		if (link instanceof SocketLink) link.close();
		listener.closed("refused");
		this.close();
	}

	firstLink() {
		return this.socket ? new SocketLink(this, this.socket) : this.secondLink();
	}

	secondLink() {
		return new CommLink(this);
	}

	async fetch(path) {
		const { status, headers, buffers } = await this.ask({ type: "fetch", path });
		return new Response(buffers[0], { status, headers });
	}

	/** Send to the kernel. Where that has just ended, JupyterLab throws "Cannot send"; `end` is called a little later. */
	tell(message, buffers) {
		try {
			this.model.send(message, undefined, buffers);
		} catch (error) {
			console.debug("The kernel has gone:", error);
		}
	}

	/** Send a question, and give a promise of the answer with its `buffers`. It comes when the kernel is free. */
	ask(message, buffers = []) {
		const call = newName();
		this.tell({ ...message, call }, buffers);
		return new Promise((resolve) => this.calls.set(call, resolve));
	}

	heard({ call, link, ...message }, buffers) {
		if (call !== undefined) {
			this.calls.get(call)?.({ ...message, buffers });
			this.calls.delete(call);
		} else if (link === this.link?.name) this.link.heard(message, buffers);
	}
}

class CommLink {
	constructor(transport) {
		this.transport = transport;
		this.name = newName();
		this.backlog = 0; // bytes since the kernel last said something: a busy one takes nothing
		this.last = Promise.resolve(); // messages go one after the other: a command must not overtake a frame
		this.opened = new Promise((resolve) => (this.open = resolve));
		this.closed = new Promise((resolve) => (this.end = resolve));
		this.tell({ type: "open" });
	}

	tell(message, buffers) {
		this.transport.tell({ ...message, link: this.name }, buffers);
	}

	send(data) {
		if (typeof data === "string") {
			this.last = this.last.then(() => this.tell({ type: "text", text: data }));
			return;
		}
		this.backlog += data.size;
		this.last = this.last.then(() => data.arrayBuffer()).then((bytes) => this.tell({ type: "frame" }, [bytes]));
	}

	heard({ texts, isOver }, buffers) {
		this.backlog = 0;
		const { transport } = this;
		if (this.open) {
			transport.listener?.opened();
			this.open("open");
			this.open = null;
		}
		for (const text of texts) transport.listener?.text(JSON.parse(text));
		for (const { buffer, byteOffset, byteLength } of buffers) {
			transport.take(buffer.slice(byteOffset, byteOffset + byteLength)); // a DataView on the whole message
		}
		if (isOver) this.end();
	}

	close() {
		this.tell({ type: "close" });
		this.end();
	}
}
