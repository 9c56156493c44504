// All texts of the page, in English and German, in one table.

export const TEXTS = {
	// [English, German]
	locale: ["en", "de"],
	title: ["See what the network sees", "Sehen, was das Netz sieht"],
	intro: [
		"Your camera's picture goes to a neural network. The page shows what the network names, and where in the picture it sees it.",
		"Das Bild Ihrer Kamera geht an ein neuronales Netz. Die Seite zeigt, was das Netz erkennt, und wo im Bild es das sieht.",
	],
	useCamera: ["Use my camera", "Meine Kamera benutzen"],
	chooseFile: ["Choose a picture or a video", "Bild oder Video auswählen"],
	"dropHere in notebook": ["You can also drop a file here.", "Sie können auch eine Datei hierher ziehen."],
	dropHere: ["You can also drop a file on this page.", "Sie können auch eine Datei auf die Seite ziehen."],
	keepsNothing: [
		"Pictures go to {host} only. Nothing is stored there.",
		"Bilder gehen nur an {host}. Dort wird nichts gespeichert.",
	],
	"keepsNothing in notebook": [
		"Pictures go to this notebook's kernel only. Snapshots stay in its memory.",
		"Bilder gehen nur an den Kernel dieses Notebooks. Fotos bleiben in seinem Speicher.",
	],
	keepsSome: [
		"Pictures go to {host} only. Snapshots and taught models are stored there.",
		"Bilder gehen nur an {host}. Fotos und angelernte Modelle werden dort gespeichert.",
	],
	tryAgain: ["Try again", "Noch einmal versuchen"],

	// --- what can be wrong with a camera ---
	insecureTitle: ["The browser gives no camera to this address", "Der Browser gibt dieser Adresse keine Kamera"],
	insecure: [
		"Browsers give their camera only to https addresses and to localhost. There are two ways. Start the server with --https. Or, on this computer, run the command below, and open {local}.",
		"Browser geben ihre Kamera nur an https-Adressen und an localhost. Es gibt zwei Wege. Starten Sie den Server mit --https. Oder führen Sie auf diesem Rechner den Befehl unten aus, und öffnen Sie {local}.",
	],
	"insecure in notebook": [
		"Browsers give their camera only to https addresses and to localhost. Start Jupyter with a certificate. Or, on this computer, run the command below, and open {local}.",
		"Browser geben ihre Kamera nur an https-Adressen und an localhost. Starten Sie Jupyter mit einem Zertifikat. Oder führen Sie auf diesem Rechner den Befehl unten aus, und öffnen Sie {local}.",
	],
	refusedTitle: ["The browser does not let this page use the camera", "Der Browser erlaubt dieser Seite die Kamera nicht"],
	refused: [
		"Click on the icon beside the page's address and allow the camera. Then try again.",
		"Klicken Sie auf das Symbol neben der Adresse der Seite, und erlauben Sie die Kamera. Versuchen Sie es dann noch einmal.",
	],
	absentTitle: ["There is no camera", "Es gibt keine Kamera"],
	absent: [
		"Connect a camera, and the page will use it. Or choose a picture or a video.",
		"Schließen Sie eine Kamera an, dann benutzt die Seite sie. Oder wählen Sie ein Bild oder Video aus.",
	],
	busyTitle: ["The camera does not start", "Die Kamera startet nicht"],
	busy: [
		"Another program may be using it. Close that program, then try again.",
		"Vielleicht benutzt sie ein anderes Programm. Schließen Sie es, und versuchen Sie es noch einmal.",
	],
	goneTitle: ["The camera is gone", "Die Kamera ist weg"],
	gone: [
		"Connect it again, and the page will go on. Or choose another camera.",
		"Schließen Sie sie wieder an, dann geht es weiter. Oder wählen Sie eine andere Kamera.",
	],
	badFileTitle: ["This file cannot be shown", "Diese Datei lässt sich nicht zeigen"],
	badFile: [
		"The browser does not know what is in {name}. Choose a picture (JPEG, PNG, WebP) or a video (MP4, WebM).",
		"Der Browser versteht den Inhalt von {name} nicht. Wählen Sie ein Bild (JPEG, PNG, WebP) oder ein Video (MP4, WebM).",
	],

	noSource: [
		"The server has no source {source}. It has {count} of them, counted from 0.",
		"Der Server hat keine Quelle {source}. Er hat {count}, gezählt ab 0.",
	],

	// --- the connection ---
	connecting: ["Connecting …", "Verbindung wird hergestellt …"],
	starting: ["The network is starting …", "Das Netz startet …"],
	lost: ["The server does not answer. Connecting again …", "Der Server antwortet nicht. Neue Verbindung …"],
	again: ["Connected again", "Wieder verbunden"],
	taughtLost: [
		"The connection was lost, and what you taught is lost: teach it again",
		"Die Verbindung war unterbrochen, und das Angelernte ist verloren. Lernen Sie es noch einmal an.",
	],
	otherNetwork: [
		"The server has another network now. Choose class, method and layer again.",
		"Der Server hat jetzt ein anderes Netz. Wählen Sie Klasse, Methode und Schicht neu.",
	],
	unknown: [
		"The server does not know this browser. Open the whole address that the server printed, with its token.",
		"Der Server kennt diesen Browser nicht. Öffnen Sie die ganze Adresse, die der Server gezeigt hat, mit dem Token.",
	],
	"lost in notebook": ["The kernel does not answer. Connecting again …", "Der Kernel antwortet nicht. Neue Verbindung …"],
	"unknown in notebook": [
		"The kernel has ended, or was started again. Run the cell again.",
		"Der Kernel ist beendet oder neu gestartet. Führen Sie die Zelle noch einmal aus.",
	],
	compiling: ["Compiling {what} …", "{what} wird kompiliert …"],

	// --- tools ---
	source: ["Source", "Quelle"],
	look: ["View", "Ansicht"],
	method: ["Method", "Methode"],
	teach: ["Teach", "Anlernen"],
	pause: ["Pause", "Pause"],
	goOn: ["Go on", "Weiter"],
	snapshot: ["Snapshot", "Foto"],
	record: ["Record", "Aufnahme"],
	stop: ["Stop", "Stopp"],
	keys: ["Keys", "Tasten"],
	fullScreen: ["Full screen", "Vollbild"],
	close: ["Close", "Schließen"],
	tools: ["Tools", "Werkzeuge"],
	picture: ["Picture", "Bild"],

	// --- source ---
	camera: ["Camera", "Kamera"],
	cameraNumber: ["Camera {number}", "Kamera {number}"],
	flip: ["Front or back camera", "Vordere oder hintere Kamera"],
	serverSources: ["Sources of the server", "Quellen des Servers"],

	// --- view ---
	view: ["View", "Ansicht"],
	"view overlay": ["Overlay", "Überlagert"],
	"view side-by-side": ["Side by side", "Nebeneinander"],
	"view heatmap": ["Heatmap", "Nur Karte"],
	"view raw": ["Picture", "Nur Bild"],
	"view grid": ["Grid of classes", "Klassen-Raster"],
	opacity: ["Strength of the heatmap", "Stärke der Karte"],
	colormap: ["Colours", "Farben"],
	motion: ["Map and picture", "Karte und Bild"],
	smooth: ["Smooth", "Fließend"],
	exact: ["Exact", "Genau"],
	smoothHelp: ["The video runs freely, the newest map follows.", "Das Video läuft frei, die neueste Karte folgt."],
	exactHelp: ["Each picture is shown with its own map.", "Jedes Bild wird mit seiner eigenen Karte gezeigt."],
	mirror: ["Mirror", "Spiegeln"],
	boxes: ["Boxes", "Rahmen"],
	timings: ["Times", "Zeiten"],
	words: ["Text", "Text"],
	"words full": ["All", "Alles"],
	"words minimal": ["Little", "Wenig"],
	"words none": ["None", "Keiner"],
	language: ["Language", "Sprache"],

	// --- method ---
	layer: ["Layer", "Schicht"],
	fit: ["Fit into the network's input", "Einpassen in den Eingang"],
	smoothing: ["Smoothing in seconds", "Glättung in Sekunden"],
	model: ["Network", "Netz"],

	// --- classes ---
	classes: ["What the network sees", "Was das Netz sieht"],
	nothingYet: ["Nothing yet", "Noch nichts"],
	untaught: ["Nothing taught yet", "Nichts angelernt"],
	black: ["The picture is black", "Das Bild ist schwarz"],
	topClass: ["Explains the top class. Tap a class to keep it.", "Erklärt die beste Klasse. Tippen Sie eine Klasse an, um sie zu behalten."],
	explains: ["Explains {names}", "Erklärt {names}"],
	follow: ["Top class", "Beste Klasse"],
	another: ["Add …", "Dazu …"],
	contrast: ["Rather than …", "Statt …"],
	pinHint: ["{name}, {amount}. Explain this class", "{name}, {amount}. Diese Klasse erklären"],
	against: ["against {name}", "gegen {name}"],
	emptyMap: ["{name} (empty map)", "{name} (leere Karte)"],
	evidence: ["evidence", "Evidenz"],
	counter: ["against", "dagegen"],
	frameRate: ["{rate} FPS", "{rate} Bilder/s"],
	viewers: ["viewers: {count}", "Zuschauer: {count}"],
	"time waiting": ["waiting", "warten"],
	"time decoding": ["decoding", "dekodieren"],
	"time explaining": ["explaining", "erklären"],
	"time trip": ["whole trip", "ganzer Weg"],

	// --- teaching ---
	teachTitle: ["Teach your own classes", "Eigene Klassen anlernen"],
	teachHelp: [
		"Show a thing to the camera and hold its button. Let go, and do the same with another thing.",
		"Zeigen Sie der Kamera ein Ding, und halten Sie seinen Knopf gedrückt. Danach dasselbe mit einem anderen Ding.",
	],
	preparing: ["The network is being prepared …", "Das Netz wird vorbereitet …"],
	hold: ["Hold to collect", "Halten zum Sammeln"],
	holdFor: ["Hold to collect pictures of {name}, {count} pictures", "Halten, um Bilder von {name} zu sammeln, {count} Bilder"],
	nameOf: ["Name of class {index}", "Name der Klasse {index}"],
	newClass: ["a new class", "neue Klasse"],
	nothingClass: ["nothing", "nichts"],
	accuracy: ["Accuracy on pictures not seen before: {percent}", "Trefferquote auf neuen Bildern: {percent}"],
	noAccuracy: ["Hold the button of each class twice. Then the accuracy can be tested.", "Halten Sie den Knopf jeder Klasse zweimal gedrückt. Dann lässt sich die Trefferquote prüfen."],
	undo: ["Undo", "Rückgängig"],
	download: ["Download", "Speichern"],
	finish: ["Stop teaching", "Anlernen beenden"],
	noModel: ["The model cannot be downloaded: {why}", "Das Modell lässt sich nicht speichern: {why}"],

	// --- snapshot and recording ---
	keptInNotebook: ["Kept: .snapshots[{place}] in Python", "Behalten: .snapshots[{place}] in Python"],
	saved: ["Saved {name}: with the heatmap, without it, and the numbers", "Gespeichert: {name}, mit und ohne Karte, und die Zahlen"],
	savedFilm: ["Saved {name}", "Gespeichert: {name}"],
	notYet: ["There is no explained picture yet", "Es gibt noch kein erklärtes Bild"],
	noRecorder: ["This browser cannot record", "Dieser Browser kann nicht aufnehmen"],
	notKept: ["The server could not keep {name}", "Der Server konnte {name} nicht speichern"],
	colorsAre: ["Colours: {name}", "Farben: {name}"],
	opacityIs: ["Heatmap: {percent}", "Karte: {percent}"],
	paused: ["Paused", "Pause"],

	// --- keys ---
	"key view": ["show the next view", "nächste Ansicht"],
	"key pause": ["pause, or go on", "Pause, oder weiter"],
	"key help": ["show or hide these keys", "diese Tasten zeigen oder verbergen"],
	"key snapshot": ["save a snapshot: picture, clean picture, numbers", "Foto speichern: Bild, sauberes Bild, Zahlen"],
	"key record": ["start or stop recording", "Aufnahme beginnen oder beenden"],
	"key mirror": ["flip the picture as in a mirror, or back", "Bild spiegeln, oder zurück"],
	"key colormap": ["use the next colours", "nächste Farben"],
	"key more-opaque": ["make the heatmap stronger", "Karte stärker"],
	"key less-opaque": ["make the heatmap weaker", "Karte schwächer"],
	"key layer-back": ["explain an earlier layer", "frühere Schicht erklären"],
	"key layer-forward": ["explain a later layer", "spätere Schicht erklären"],
	"key method": ["use the next method", "nächste Methode"],
	"key fit": ["use the next fit", "nächstes Einpassen"],
	"key pin-place": ["explain a class of the list", "eine Klasse der Liste erklären"],
	"key track": ["explain the top class again", "wieder die beste Klasse erklären"],
	"key freeze": ["keep explaining this class", "bei dieser Klasse bleiben"],
	"key boxes": ["show or hide the boxes", "Rahmen zeigen oder verbergen"],
	"key timings": ["show or hide the times", "Zeiten zeigen oder verbergen"],
	"key teach": ["teach your own classes, or stop", "eigene Klassen anlernen, oder aufhören"],
	"key exact": ["each picture with its own map, or a smooth video", "jedes Bild mit seiner Karte, oder fließend"],
	"key full-screen": ["full screen, or back", "Vollbild, oder zurück"],
	"key teach-collect": ["hold: collect pictures of a class; 0: of nothing", "halten: Bilder einer Klasse sammeln; 0: von nichts"],
	"key teach-name": ["name the class that was collected last", "die letzte Klasse benennen"],
	"key teach-undo": ["remove the pictures that were collected last", "die letzten Bilder entfernen"],
	"key teach-save": ["download the model", "das Modell speichern"],
};

/** What the server says in English, word for word, in the other languages. A text that is not here stays English. */
export const FROM_SERVER = {
	// English: [German]
	"The network stopped. Another one goes on.": ["Das Netz ist stehen geblieben. Ein anderes macht weiter."],
	"the network is still starting: try again in a moment": ["Das Netz startet noch. Versuchen Sie es gleich noch einmal."],
	"the picture is damaged: it cannot be decoded": ["Das Bild ist beschädigt und lässt sich nicht lesen."],
	"{source} has stopped.": ["{source} ist stehen geblieben."],
	"{source} is back.": ["{source} ist wieder da."],
	"there are too many visitors at the moment: try again later": ["Im Moment sind zu viele Besucher da. Versuchen Sie es später noch einmal."],
	"there is no room for more visitors: try it again later": ["Für mehr Besucher ist kein Platz. Versuchen Sie es später noch einmal."],
	"as many classes are pinned as can be explained, {count}: take one away first": [
		"Mehr als {count} Klassen lassen sich nicht gleichzeitig erklären. Nehmen Sie zuerst eine weg.",
	],
	"there is no other class to contrast it with": ["Es gibt keine andere Klasse zum Vergleichen."],

	// --- teaching ---
	"the network was started again, and what you taught is lost: teach it again": [
		"Das Netz ist neu gestartet, und das Angelernte ist verloren. Lernen Sie es noch einmal an.",
	],
	"{most} visitors teach already, and there is room for no more: try it again later": [
		"Es lernen schon {most} Besucher an, und für mehr ist kein Platz. Versuchen Sie es später noch einmal.",
	],
	"teaching stopped because of an error in the program: {why}. Open the page again to teach": [
		"Das Anlernen ist an einem Fehler im Programm gescheitert: {why}. Öffnen Sie die Seite zum Anlernen noch einmal.",
	],
	"the network is not ready to be taught yet: wait a moment": ["Das Netz ist noch nicht bereit zum Anlernen. Warten Sie einen Moment."],
	"collect pictures of a class first: then you can name it": ["Sammeln Sie zuerst Bilder einer Klasse, dann können Sie sie benennen."],
	"another class is called {name} already": ["Eine andere Klasse heißt schon {name}."],
	"class {index} is called {name}": ["Klasse {index} heißt {name}."],
	"pictures of {name} taken back: {count}": ["Zurückgenommene Bilder von {name}: {count}"],
	"there is no burst to take back": ["Es gibt nichts zurückzunehmen."],
	"there is no room for more pictures: take some back, or go on with these": [
		"Für mehr Bilder ist kein Platz. Nehmen Sie welche zurück, oder machen Sie mit diesen weiter.",
	],
	"writing {path} …": ["{path} wird geschrieben …"],
	"written as {path}": ["Geschrieben als {path}"],
	"fewer than two classes have pictures: collect some of a second one": [
		"Weniger als zwei Klassen haben Bilder. Sammeln Sie welche von einer zweiten.",
	],
	"too few: hold it again": ["Zu wenige: noch einmal halten"],
	"too few: hold it longer": ["Zu wenige: länger halten"],
};

export const LANGUAGES = { en: "English", de: "Deutsch" };

const columns = Object.keys(LANGUAGES);
let column = 0;
let place = ""; // where the page is, which has texts of its own: "KEY in PLACE"

/** Use a language, such as "de" or "de-AT"; English for one that is not there. `where` the page is, if not by itself. */
export function setLanguage(language, where = place) {
	place = where;
	column = Math.max(0, columns.indexOf(String(language).slice(0, 2).toLowerCase()));
}

export function language() {
	return columns[column];
}

/** A text by its key, with {names} replaced by values. */
export function t(key, values = {}) {
	const text = TEXTS[`${key} in ${place}`] ?? TEXTS[key];
	return filled(text[column], values);
}

function filled(text, values) {
	return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A text of the server: `words` are its English with the {names} of `values`, where it has some. */
export function said({ text, words = text, values = {} }) {
	const own = FROM_SERVER[words]?.[column - 1];
	return own ? filled(own, values) : text;
}

/** Whether there is such a text. */
export function isText(key) {
	return key in TEXTS;
}

/** A share 0…1 as "87 %". */
export function percent(share, digits = 0) {
	return `${(100 * share).toFixed(digits)} %`;
}
