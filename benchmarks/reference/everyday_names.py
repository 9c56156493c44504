"""The everyday names: ImageNet's 1000 classes in groups that are named as people speak.

Each class belongs to exactly one group, so the probability of a group is the sum of its classes' probabilities:
"Egyptian cat 64 %, tiger cat 18 %, tabby 11 %" is a cat at 93 %. Three tables below say the groups:

    TREE   synsets of WordNet's tree, in which the classes are synsets too: a class is in the group of its nearest
           ancestor here
    WORDS  what the tree does not group or name as people do; it goes before TREE
    OWN    classes that keep their label, though an ancestor of theirs, or of another sense of the label, is in TREE

Any other class is a group of its own, named by its label. To make the file, or only to compare it:

    python3 benchmarks/reference/everyday_names.py            # write live_gradcam/networks/everyday_names.txt
    python3 benchmarks/reference/everyday_names.py --check    # only compare: exit code 1 if the file differs

It needs Python alone, and WordNet 3.0's `data.noun`: from `--wordnet FOLDER`, or else from Debian's package
`wordnet-base`, which `apt-get` downloads into the temporary folder once (after `apt-get update`).

Line n of the file is the name of class n-1, as in imagenet_labels.txt.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

NETWORKS = Path(__file__).parents[2] / "live_gradcam" / "networks"
LABELS = NETWORKS / "imagenet_labels.txt"
NAMES = NETWORKS / "everyday_names.txt"
CACHE = Path(tempfile.gettempdir()) / "wordnet-base-3.0"

# name = synset, synset; … A synset is one of its words and its wnid: "n" and its offset in WordNet 3.0.
TREE = """
fish = fish n02512053; shark = shark n01482330; ray = ray n01495701
bird = bird n01503061; bird of prey = bird_of_prey n01604330; owl = owl n01621127; parrot = parrot n01816887
duck = duck n01846331; stork = stork n02002075; heron = heron n02008041
salamander = salamander n01629276; frog = frog n01639765
turtle = turtle n01662784; lizard = lizard n01674464; snake = snake n01726692
spider = spider n01772222; worm = worm n01922303; crab = crab n01976957; lobster = lobster n01982650
beetle = beetle n02164464; dragonfly = odonate n02268148; butterfly = butterfly n02274259
dog = dog n02084071; wild dog = wild_dog n02115335; wolf = wolf n02114100; fox = fox n02118333
cat = domestic_cat n02121808; bear = bear n02131653; rabbit = leporid n02323902; antelope = antelope n02419796
monkey = monkey n02484322; gibbon = lesser_ape n02483092; lemur = lemur n02496913; whale = whale n02062744
elephant = elephant n02503517; mushroom = fungus n12992868; squash = squash n07715561

hat = hat n03497657; coat = coat n03057021; sweater = sweater n04370048; tie = necktie n03815615
shoe = shoe n04199027; swimsuit = swimsuit n04371563
car = car n02958343; truck = truck n04490091; bus = bus n02924116; bicycle = bicycle n02834778; cart = cart n02970849
train = train n04468005, locomotive n03684823, railcar n02959942; sled = sled n04235291
boat = boat n02858304, sailing_vessel n04128837; ship = ship n04194289
bottle = bottle n02876657; jug = jug n03603722; drinking glass = glass n03438257; pan = pan n03880531
chair = chair n03001627; phone = telephone n04401088; clock = clock n03046257
ball = ball n02778669; gym weight = weight n04571292; gymnastics = gymnastic_apparatus n03472232
guitar = guitar n03467517; knife = knife n03623556; lock = lock n03682487
shop = shop n04202417; bridge = bridge n02898711; fence = fence n03327234
"""

# name = label, label; …
WORDS = """
chicken = cock, hen; swan = black swan; penguin = king penguin; clownfish = anemone fish
crocodile = African crocodile; alligator = American alligator; dinosaur = triceratops
crab = hermit crab; coral = brain coral, coral reef; seashell = conch; nautilus = chambered nautilus
stick insect = walking stick; praying mantis = mantis; insect = leafhopper, lacewing
elephant = tusker; kangaroo = wallaby; polar bear = ice bear; leopard = leopard, snow leopard; horse = sorrel
squirrel = fox squirrel; pig = hog; hippo = hippopotamus; cow = ox; sheep = ram, bighorn; goat = ibex
camel = Arabian camel; weasel = weasel, mink; ferret = polecat, black-footed ferret; sloth = three-toed sloth
red panda = lesser panda; panda = giant panda

dress = gown, hoopskirt, overskirt; graduation gown = academic gown; graduation cap = mortarboard
priest's robe = vestment; T-shirt = jersey; jeans = jean; pajamas = pajama; bra = brassiere; swim cap = bathing cap
swimsuit = maillot; shoe = clog; boot = cowboy boot; scarf = stole; uniform = military uniform; watch = digital watch
helmet = crash helmet, football helmet, pickelhaube; armor = breastplate, cuirass, chain mail
mask = mask, gasmask, oxygen mask, ski mask; sunglasses = sunglass, sunglasses; hair clip = hair slide
bag = purse, mailbag; makeup = face powder; lotion = lotion, sunscreen; hairspray = hair spray
hair dryer = hand blower; baby bottle = nipple; bandage = Band Aid

car = convertible; taxi = cab; truck = pickup; fire truck = fire engine; camper = recreational vehicle
tram = streetcar; golf cart = golfcart; rickshaw = jinrikisha; motorbike = moped, motor scooter
airplane = airliner, warplane; airplane wing = wing; ship = liner; boat = gondola, schooner; shipwreck = wreck
half-track = half track; amphibious vehicle = amphibian; wheelbarrow = barrow; combine harvester = harvester, thresher
missile = missile, projectile; paddle wheel = paddlewheel; car grille = grille
gun = assault rifle, revolver, rifle; archery bow = bow

bed = four-poster; baby bed = bassinet, cradle, crib
sofa = studio couch; bench = park bench; table = dining table; bookshelf = bookcase
cabinet = chiffonier, china cabinet, file, medicine chest; lamp = table lamp, lampshade; rug = prayer rug, doormat
curtain = shower curtain, theater curtain; window blind = window shade; fireplace screen = fire screen
sliding door = sliding door, shoji; banister = bannister; bathtub = bathtub, tub; sink = washbasin
toilet = toilet seat; toilet paper = toilet tissue; towel = bath towel; dishcloth = dishrag; mop = swab
vacuum cleaner = vacuum; washing machine = washer; fridge = refrigerator; fan = electric fan; clothes iron = iron
heater = radiator, space heater; light switch = switch; trash can = ashcan; flowerpot = pot
cup = cup, coffee mug; coffee pot = coffeepot; coffee machine = espresso maker; bowl = mixing bowl, soup bowl
cooking pot = caldron, Crock Pot, Dutch oven; jug = pitcher; spoon = wooden spoon, ladle; dish rack = plate rack
salt shaker = saltshaker; mortar and pestle = mortar; barrel = barrel, rain barrel; basket = hamper, shopping basket
box = carton, crate, chest; bottle cap = bottlecap

laptop = laptop, notebook; computer = desktop computer; handheld computer = hand-held computer
computer mouse = mouse; hard drive = hard disc; screen = screen, monitor; website = web site
keyboard = computer keyboard, typewriter keyboard, space bar; home theater = home theater, entertainment center
music player = cassette player, CD player, tape player, iPod; cassette tape = cassette
camera = Polaroid camera, reflex camera; magnifying glass = loupe; compass = magnetic compass
drill = power drill; carpenter's plane = plane; ax = hatchet; chainsaw = chain saw; toolbox = carpenter's kit
pen = ballpoint, fountain pen; pencil case = pencil box; eraser = rubber eraser; ruler = rule
weighing scale = scale; fishing reel = reel; dog muzzle = muzzle; spiral = coil

teddy bear = teddy; hockey puck = puck; slot machine = slot; crossword = crossword puzzle
piano = grand piano, upright; trumpet = cornet; saxophone = sax; pan flute = panpipe; xylophone = marimba
pipe organ = organ; drum = drum, steel drum; guitar pick = pick

shop = grocery store; movie theater = cinema; lighthouse = beacon; bell tower = bell cote; beehive = apiary
sawmill = lumbermill; crane = crane (machine); oil rig = drilling platform; pier = pier, dock
roof = thatch, tile roof; vaulted ceiling = vault; tent = mountain tent; memorial plaque = brass
mountain = alp; lake = lakeside; coast = seashore, sandbar, promontory
baseball player = ballplayer; bridegroom = groom; diver = scuba diver; book = book jacket

bread = French loaf; hamburger = cheeseburger; hot dog = hotdog; pie = potpie; meatloaf = meat loaf; pasta = carbonara
soup = consomme; dessert = trifle; popsicle = ice lolly; plate of food = plate; coffee = espresso; wine = red wine
apple = Granny Smith; cabbage = head cabbage; corn = corn, ear; thistle = cardoon; mushroom = mushroom
flower = daisy, yellow lady's slipper, rapeseed; rose hip = hip; horse chestnut = buckeye; pumpkin = jack-o'-lantern
"""

OWN = """
goldfish, eel, ostrich, peacock, hummingbird, toucan, goose, flamingo, pelican, ladybug, coyote, ambulance
police van, submarine, tank, tractor, throne, flute, punching bag, barbershop, stone wall, zucchini
"""


class WordNet(NamedTuple):
    """Its nouns: the synsets of each word in lower case, and each synset's hypernyms. A synset is its wnid."""

    senses: dict[str, list[str]]
    hypernyms: dict[str, list[str]]


def main() -> int:
    """Make the table; write it, or compare it with the file."""
    parser = argparse.ArgumentParser(description="Name ImageNet's classes as people speak.")
    parser.add_argument("--wordnet", type=Path, metavar="FOLDER", help="with WordNet 3.0's data.noun")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file differs")
    args = parser.parse_args()

    wordnet = read_wordnet(args.wordnet or debian_wordnet())
    names = everyday_names(LABELS.read_text(encoding="utf-8").splitlines(), wordnet)
    text = "".join(f"{name}\n" for name in names)
    if args.check:
        same = NAMES.exists() and NAMES.read_text(encoding="utf-8") == text
        print(f"{NAMES} {'is' if same else 'is not'} what this script makes")
        return 0 if same else 1
    NAMES.write_text(text, encoding="utf-8")
    groups = Counter(names)
    print(f"wrote {NAMES}: {len(names)} classes in {len(groups)} groups")
    print("the largest:", ", ".join(f"{name} {size}" for name, size in groups.most_common(40)))
    return 0


def debian_wordnet() -> Path:
    """The folder of Debian's WordNet, downloaded if it is not there yet."""
    folder = CACHE / "usr" / "share" / "wordnet"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        subprocess.run(["apt-get", "download", "wordnet-base"], cwd=CACHE, check=True)
        (package,) = CACHE.glob("wordnet-base_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, CACHE], check=True)
    return folder


def read_wordnet(folder: Path) -> WordNet:
    """Read `data.noun`; the manual page wndb(5WN) says how it is laid out."""
    wordnet = WordNet({}, {})
    for line in (folder / "data.noun").read_text(encoding="ascii").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.split(" | ")[0].split()
        wnid = f"n{fields[0]}"
        after_words = 4 + 2 * int(fields[3], 16)
        for word in fields[4:after_words:2]:
            wordnet.senses.setdefault(word.lower(), []).append(wnid)
        pointers = fields[after_words + 1 :]
        wordnet.hypernyms[wnid] = [
            f"n{offset}" for kind, offset in zip(pointers[::4], pointers[1::4], strict=False) if kind in ("@", "@i")
        ]
    return wordnet


def everyday_names(labels: list[str], wordnet: WordNet) -> list[str]:
    """The name of each class, by the tables above, which are checked as well."""
    tree = tree_table(wordnet)
    words, own = word_tables(labels)
    given = {*tree.values(), *words.values()}
    names, used = [], set[str]()
    for label, senses in zip(labels, class_synsets(labels, wordnet), strict=True):
        found = {nearest(wnid, tree, wordnet) for wnid in senses}
        groups = {tree.get(synset, label) for synset in found}
        if label in words:
            expect(words[label] == label or groups != {words[label]}, f"{label} need not be in WORDS")
            names.append(words[label])
        elif label in own:
            expect(groups != {label}, f"{label} need not be in OWN")
            names.append(label)
        else:
            expect(len(groups) == 1, f"the senses of {label} are in different groups: put it into WORDS or OWN")
            expect(found != {""} or label not in given, f"{label} is a group's name, but not in the group")
            names.extend(groups)
            used |= found
    expect(tree.keys() <= used, f"no class is in {sorted(tree.keys() - used)}")
    for name in names:
        expect(re.fullmatch(r"[A-Za-z][A-Za-z' -]*", name) is not None, f"odd name: {name}")
    spellings = [re.sub("[' -]", "", name.lower()) for name in set(names)]
    expect(not repeated(spellings), f"names that differ only in how they are written: {repeated(spellings)}")
    return names


def tree_table(wordnet: WordNet) -> dict[str, str]:
    """`TREE` as {wnid: name}."""
    table: dict[str, str] = {}
    for name, synsets in entries(TREE):
        for synset in synsets:
            word, wnid = synset.split()
            expect(wnid in wordnet.senses.get(word, ()), f"{word} is not a word of {wnid}")
            expect(wnid not in table, f"{wnid} is in TREE twice")
            table[wnid] = name
    return table


def word_tables(labels: list[str]) -> tuple[dict[str, str], set[str]]:
    """`WORDS` as {label: name}, and `OWN`."""
    words = {label: name for name, members in entries(WORDS) for label in members}
    own = [label.strip() for label in re.split(r"[,\n]", OWN.strip())]
    tabled = [label for _, members in entries(WORDS) for label in members] + own
    expect(len(set(labels)) == len(labels) == 1000, "there are not 1000 different labels")
    expect(not repeated(tabled), f"twice in WORDS and OWN: {repeated(tabled)}")
    expect(set(tabled) <= set(labels), f"in WORDS or OWN, but no label: {sorted(set(tabled) - set(labels))}")
    return words, set(own)


def entries(table: str) -> list[tuple[str, list[str]]]:
    """The names of a table above, each with its members."""
    pairs = [entry.split("=") for entry in re.split(r"[;\n]", table) if entry.strip()]
    return [(name.strip(), [member.strip() for member in members.split(",")]) for name, members in pairs]


def class_synsets(labels: list[str], wordnet: WordNet) -> list[list[str]]:
    """Which synsets each class can be.

    A label has several senses, but the classes are sorted by wnid: a class comes after the earliest possible wnid of
    the class before it, and before the latest one of the class after it. Those that stay open lie next to each other.
    """
    senses = [sorted(wordnet.senses.get(label_word(label), [])) for label in labels]
    earliest = ["n"]
    for label, wnids in zip(labels, senses, strict=True):
        later = [wnid for wnid in wnids if wnid > earliest[-1]]
        expect(bool(later), f"no sense of {label} keeps the order: is this WordNet 3.0?")
        earliest.append(later[0])
    latest = ["o"]
    for wnids in reversed(senses):
        latest.append([wnid for wnid in wnids if wnid < latest[-1]][-1])
    bounds = zip(earliest[1:], reversed(latest[1:]), strict=True)
    return [[wnid for wnid in wnids if low <= wnid <= high] for wnids, (low, high) in zip(senses, bounds, strict=True)]


def label_word(label: str) -> str:
    """How WordNet writes a label: "crane (bird)" and "maillot, tank suit" are told apart by what follows the word."""
    return re.split(r", | \(", label)[0].lower().replace(" ", "_")


def nearest(wnid: str, tree: dict[str, str], wordnet: WordNet) -> str:
    """The synset of `tree` that is fewest steps above `wnid`, or is `wnid`; "" if there is none."""
    level = {wnid}
    while level:
        found = level & tree.keys()
        if found:
            expect(len({tree[synset] for synset in found}) == 1, f"{wnid} is as near to each of {sorted(found)}")
            return min(found)
        level = {above for synset in level for above in wordnet.hypernyms[synset]}
    return ""


def repeated(items: list[str]) -> list[str]:
    """The items that come more than once."""
    return [item for item, count in Counter(items).items() if count > 1]


def expect(condition: bool, otherwise: str) -> None:
    """Stop with the message `otherwise` unless the condition holds."""
    if not condition:
        sys.exit(otherwise)


if __name__ == "__main__":
    sys.exit(main())
