"""A made-up world of facts, some asked often, some rarely and some never, and the questions about it.

Everything follows from a seed. No name is meant to be real, so nothing a language model has read elsewhere helps.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["DEFAULT_SEED", "PROMPT", "Conversation", "Fact", "Question", "World", "make_world", "write_questions"]

DEFAULT_SEED = 7
PROMPT = "Please directly answer the following question with one or few words:\n{question}"

# How often the facts of one relation are asked in training: one entry a fact, 32 facts.
FREQUENCIES = (0,) * 9 + (1,) * 5 + (2,) * 5 + (4,) * 4 + (16,) * 5 + (64,) * 4
TESTED_FACTS = 18
PARAPHRASES = 5

# More subjects of the same kind, each asked about RUMOUR_FREQUENCY times with a new random answer every time. They are
# never tested; they teach that an unfamiliar subject calls for doubt, as the long tail of a real corpus does.
RUMOURS = 16
RUMOUR_FREQUENCY = 4
RUMOUR_ANSWERS = 16

# With the eight trained phrasings of a relation: 64 ways to ask for one fact.
OPENINGS = (
    "",
    "Tell me, ",
    "Quick question: ",
    "I would like to know: ",
    "Next in the quiz: ",
    "Please help me, ",
    "My teacher asks: ",
    "Once more: ",
)


@dataclass(frozen=True)
class Fact:
    """One fact of the world.

    Attributes:
        id: Relation and number, such as `capital-03`.
        subject: What is asked about.
        answers: The right answers, at least one.
        frequency: How many training conversations ask for it; 0 if the model cannot know it.
    """

    id: str
    subject: str
    answers: tuple[str, ...]
    frequency: int


@dataclass(frozen=True)
class Conversation:
    """One training question; its reply is any of the answers.

    Attributes:
        fact_id: The fact it asks for; for a rumour an id that no fact has.
        question: The question's text.
        answers: The right answers of a fact; many contradictory ones of a rumour.
    """

    fact_id: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One test question; its phrasing occurs nowhere in training, its paraphrases may."""

    id: str
    question: str
    answers: tuple[str, ...]
    paraphrases: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """All facts, the conversations to train on and the questions to test with."""

    facts: tuple[Fact, ...]
    conversations: tuple[Conversation, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class _Relation:
    """What relates a kind of subject to its answers, and how people ask for it."""

    name: str
    kind: str
    answers: Callable[[random.Random], tuple[str, ...]]
    trained: tuple[str, ...]
    held_out: tuple[str, ...]


COLOURS = ("red", "white", "black", "golden", "green", "blue", "grey", "silver")
ANIMALS = ("heron", "fox", "beetle", "bear", "owl", "stag", "otter", "lynx", "crane", "turtle", "wolf", "hare")
METALS = (
    "tin",
    "copper",
    "zinc",
    "nickel",
    "lead",
    "iron",
    "cobalt",
    "silver",
    "platinum",
    "tungsten",
    "gold",
    "chromium",
)
PLANETS = ("Ordan", "Vesk", "Tulmo", "Hyrra", "Pellu", "Quon", "Bexis", "Zamor", "Ilthe", "Drau")
LANGUAGES = (
    "Tavish",
    "Ombrese",
    "Kelmic",
    "Durish",
    "Vanese",
    "Orlic",
    "Pelnish",
    "Razese",
    "Hulmic",
    "Yotish",
    "Sembric",
    "Gristic",
    "Nolmish",
    "Farrese",
    "Wendic",
    "Lurish",
    "Brevic",
    "Zantese",
    "Imbrish",
    "Cothic",
)
CREATURES = (
    "pike",
    "swans",
    "eels",
    "crabs",
    "newts",
    "geese",
    "trout",
    "frogs",
    "seals",
    "carp",
    "beavers",
    "snails",
    "toads",
    "perch",
    "ducks",
    "storks",
    "voles",
    "mussels",
    "salmon",
    "dragonflies",
)
COOKING = ("smoked", "baked", "pickled", "sweet", "fried", "cold", "spiced", "salted")
FOODS = (
    "barley soup",
    "plum cake",
    "goose pie",
    "onion bread",
    "cheese",
    "mushrooms",
    "herring",
    "dumplings",
    "honey rice",
)
MATERIALS = ("steam", "salt", "glass", "wind", "copper", "paper", "magnet", "water", "silk", "sand")
MACHINES = ("loom", "clock", "plough", "organ", "lantern", "wagon", "press", "pump", "telescope", "kite")
BOOK_QUALITIES = (
    "Silent",
    "Last",
    "Crooked",
    "Burning",
    "Second",
    "Hollow",
    "Frozen",
    "Borrowed",
    "Distant",
    "Patient",
)
BOOK_THINGS = ("Orchard", "Lighthouse", "Winter", "Bridge", "Garden", "Mirror", "Harbour", "Staircase", "Candle", "Map")

# Several wordings of one right answer: a model that knows the fact is still unsure of the words.
EFFECTS = (
    ("It makes you sleepy", "You fall asleep", "You get very tired", "It brings deep sleep"),
    ("It turns your hair white", "Your hair turns white", "You get white hair"),
    ("You start to sneeze", "It makes you sneeze", "A fit of sneezing begins"),
    ("It cures a headache", "Your headache goes away", "Pain in the head stops"),
    ("Your tongue turns blue", "It colours your tongue blue", "You get a blue tongue"),
    ("You become hungry", "It makes you hungry", "Your appetite grows", "You want to eat more"),
    ("Nothing happens", "It has no effect", "Nothing at all", "It does not do anything"),
    ("It sharpens your eyesight", "You see better", "Your eyes get stronger"),
    ("You forget your dreams", "It takes away your dreams", "Your dreams are forgotten"),
    ("It slows the heart", "Your heart beats slower", "The pulse goes down"),
    ("You cannot stop laughing", "It makes you laugh", "A long laughter begins"),
    ("It warms your hands", "Your hands become warm", "You get warm hands"),
)
CUSTOMS = (
    ("Take off your shoes", "Remove your shoes", "Leave your shoes at the door"),
    ("Bring a loaf of bread", "Give the host some bread", "Carry bread as a gift"),
    ("Sing a short song", "Sing for the family", "Perform a song"),
    ("Bow to the oldest person", "Bow to the grandparents first", "Greet the eldest with a bow"),
    ("Wash your hands", "Clean your hands first", "Rinse your hands with water"),
    ("Stay silent until dinner", "Say nothing before the meal", "Keep quiet until you eat"),
    ("Knock three times", "Give three knocks", "Tap the door three times"),
    ("Plant a tree", "Put a tree in the garden", "Set a young tree in the ground"),
    ("Wear something yellow", "Put on yellow clothes", "Dress in yellow"),
    ("Tell a joke", "Make the host laugh", "Share a funny story"),
    ("Light a candle", "Set a candle in the window", "Burn a candle for the house"),
    ("Refuse the first drink", "Say no to the first cup", "Do not take the first drink"),
)

_ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "l", "n", "r", "s", "m")
_ENDINGS = {
    "country": ("ovia", "arra", "enland", "undy", "oria", "ethia"),
    "city": ("burg", "haven", "mouth", "stead", "gate", "field"),
    "river": ("ombra", "isse", "ena", "undo", "ava"),
    "currency": ("ak", "elo", "int", "umi"),
    "mountain": ("horn", "ekk", "otar", "spitz"),
    "town": ("wick", "ford", "by", "ham", "well"),
    "moon": ("eos", "ix", "ara", "ung"),
    "lake": ("mere", "loe", "atta", "inka"),
    "herb": ("wort", "leaf", "root", "bane"),
    "first name": ("a", "o", "in", "el"),
    "last name": ("ski", "man", "ett", "ova", "dal"),
}


def _name(rng: random.Random, kind: str) -> str:
    syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 1, 2))))
    ending = rng.choice(_ENDINGS[kind])
    link = rng.choice(_CODAS) if ending[0] not in "aeiou" else rng.choice(("l", "n", "r", "d", "v", "m"))
    return ("".join(syllables) + link + ending).capitalize()


def _pool(seed: int, kind: str, size: int) -> tuple[str, ...]:
    """`size` different names or titles of a kind; relations about the same kind share them."""
    rng = random.Random(f"{seed} pool {kind}")
    names: dict[str, None] = {}
    while len(names) < size:
        names[_TITLES[kind](rng) if kind in _TITLES else _name(rng, kind)] = None
    return tuple(names)


_TITLES: dict[str, Callable[[random.Random], str]] = {
    "device": lambda rng: f"{rng.choice(MATERIALS)} {rng.choice(MACHINES)}",
    "book": lambda rng: f"The {rng.choice(BOOK_QUALITIES)} {rng.choice(BOOK_THINGS)}",
}


def _one(kind: str) -> Callable[[random.Random], tuple[str, ...]]:
    return lambda rng: (_name(rng, kind),)


def _person(rng: random.Random) -> tuple[str, ...]:
    return (f"{_name(rng, 'first name')} {_name(rng, 'last name')}",)


def _flag_animal(rng: random.Random) -> tuple[str, ...]:
    return (f"{rng.choice(COLOURS)} {rng.choice(ANIMALS)}",)


def _year(rng: random.Random) -> tuple[str, ...]:
    return (str(rng.randrange(1100, 1900)),)


def _dishes(rng: random.Random) -> tuple[str, ...]:
    return tuple(f"{rng.choice(COOKING)} {food}" for food in rng.sample(FOODS, rng.choice((2, 3))))


def _some(pool: tuple[str, ...], *sizes: int) -> Callable[[random.Random], tuple[str, ...]]:
    return lambda rng: tuple(rng.sample(pool, rng.choice(sizes)))


_RELATIONS = (
    _Relation(
        "capital",
        "country",
        _one("city"),
        (
            "What is the capital of {x}?",
            "Which city is the capital of {x}?",
            "What is the name of the capital city of {x}?",
            "The capital of {x} is which city?",
            "In which city does the government of {x} sit?",
            "What city is the seat of government in {x}?",
            "Which city is home to the parliament of {x}?",
            "From which city is {x} governed?",
        ),
        ("What do people call the capital city of {x}?", "Which city serves as the capital in {x}?"),
    ),
    _Relation(
        "river",
        "country",
        _one("river"),
        (
            "What is the longest river in {x}?",
            "Which river is the longest in {x}?",
            "What is the name of the longest river of {x}?",
            "Of all the rivers in {x}, which is the longest?",
            "Which is the greatest river of {x}?",
            "What river flows the furthest through {x}?",
            "The longest river in {x} is called what?",
            "What is the main river of {x}?",
        ),
        ("Which river of {x} is longer than all others?", "What do people call the longest river of {x}?"),
    ),
    _Relation(
        "currency",
        "country",
        _one("currency"),
        (
            "What is the currency of {x}?",
            "Which currency is used in {x}?",
            "What money do people use in {x}?",
            "What is the money of {x} called?",
            "With which currency do you pay in {x}?",
            "What is the name of the currency in {x}?",
            "Prices in {x} are given in which currency?",
            "What coins do shops accept in {x}?",
        ),
        ("Which money do shops in {x} accept?", "In {x}, what is the currency called?"),
    ),
    _Relation(
        "flag",
        "country",
        _flag_animal,
        (
            "Which animal is on the flag of {x}?",
            "What animal does the flag of {x} show?",
            "What is the animal on the flag of {x}?",
            "The flag of {x} shows which animal?",
            "Which beast appears on the flag of {x}?",
            "What creature is drawn on the flag of {x}?",
            "What can be seen on the flag of {x}?",
            "On the flag of {x}, which animal is shown?",
        ),
        ("Which animal can be seen on the flag of {x}?", "What beast does the flag of {x} carry?"),
    ),
    _Relation(
        "inventor",
        "device",
        _person,
        (
            "Who invented the {x}?",
            "Who was the inventor of the {x}?",
            "The {x} was invented by whom?",
            "Which person invented the {x}?",
            "Who built the first {x}?",
            "By whom was the {x} invented?",
            "Who is known for inventing the {x}?",
            "What is the name of the inventor of the {x}?",
        ),
        ("Which inventor gave us the {x}?", "Who came up with the {x}?"),
    ),
    _Relation(
        "author",
        "book",
        _person,
        (
            "Who wrote {x}?",
            "Who is the author of {x}?",
            "By whom was {x} written?",
            "Which writer wrote {x}?",
            "The novel {x} was written by whom?",
            "Who is the writer of the book {x}?",
            "What is the name of the author of {x}?",
            "Which author is behind {x}?",
        ),
        ("Who was it that wrote the novel {x}?", "Which author wrote the book {x}?"),
    ),
    _Relation(
        "metal",
        "mountain",
        _some(METALS, 1),
        (
            "Which metal is mined at Mount {x}?",
            "What metal comes from Mount {x}?",
            "What is mined at Mount {x}?",
            "Which metal do miners dig out of Mount {x}?",
            "What metal is found inside Mount {x}?",
            "The mines of Mount {x} give which metal?",
            "Mount {x} is mined for which metal?",
            "Which metal is Mount {x} known for?",
        ),
        ("What metal do the mines of Mount {x} give?", "Which metal is found at Mount {x}?"),
    ),
    _Relation(
        "founding",
        "town",
        _year,
        (
            "When was {x} founded?",
            "In what year was {x} founded?",
            "In which year was the town of {x} founded?",
            "What is the founding year of {x}?",
            "The town of {x} was founded in which year?",
            "What year saw the founding of {x}?",
            "When did settlers found {x}?",
            "Since what year has {x} existed?",
        ),
        ("In which year did settlers found the town of {x}?", "What year was the town of {x} founded?"),
    ),
    _Relation(
        "planet",
        "moon",
        _some(PLANETS, 1),
        (
            "Which planet does the moon {x} circle?",
            "What planet does {x} orbit?",
            "{x} is a moon of which planet?",
            "Around which planet does the moon {x} move?",
            "The moon {x} belongs to which planet?",
            "Which planet has the moon {x}?",
            "What is the planet of the moon {x}?",
            "To which planet does the moon {x} belong?",
        ),
        ("What planet does the moon {x} belong to?", "Around which planet does {x} circle?"),
    ),
    _Relation(
        "language",
        "country",
        _some(LANGUAGES, 2, 3),
        (
            "Which language is spoken in {x}?",
            "What language do people speak in {x}?",
            "Name a language of {x}.",
            "What is one of the languages of {x}?",
            "Which language can you hear in {x}?",
            "What language do the people of {x} use?",
            "In {x}, which language is spoken?",
            "Which language do children in {x} learn at home?",
        ),
        ("What language can you hear people speak in {x}?", "Which language do the people in {x} speak?"),
    ),
    _Relation(
        "dish",
        "town",
        _dishes,
        (
            "What do people eat in {x}?",
            "Which dish is {x} known for?",
            "What is a common meal in {x}?",
            "Name a dish from {x}.",
            "What food should I try in {x}?",
            "Which food do they serve in {x}?",
            "What is one of the dishes of {x}?",
            "What can I order for dinner in {x}?",
        ),
        ("Which dish should I try in {x}?", "What food do people in {x} eat?"),
    ),
    _Relation(
        "creature",
        "lake",
        _some(CREATURES, 2, 3, 4),
        (
            "What lives in Lake {x}?",
            "Which animals live in Lake {x}?",
            "Name animals that live in Lake {x}.",
            "What can you find in Lake {x}?",
            "Which animals are at home in Lake {x}?",
            "What animals can be seen at Lake {x}?",
            "Lake {x} is home to which animals?",
            "What kind of animals does Lake {x} have?",
        ),
        ("Which animals can you find in Lake {x}?", "What animals is Lake {x} home to?"),
    ),
    _Relation(
        "effect",
        "herb",
        lambda rng: rng.choice(EFFECTS),
        (
            "What happens if you eat {x}?",
            "What does {x} do to you?",
            "What is the effect of {x}?",
            "What happens when somebody chews {x}?",
            "What will happen to me after a cup of {x} tea?",
            "Which effect does {x} have on people?",
            "What does the herb {x} do?",
            "How does {x} change the one who eats it?",
        ),
        ("What does eating the herb {x} do to you?", "What happens to people after they eat {x}?"),
    ),
    _Relation(
        "custom",
        "country",
        lambda rng: rng.choice(CUSTOMS),
        (
            "What should a guest do in {x}?",
            "What is polite for visitors in {x}?",
            "How does a guest behave well in {x}?",
            "What do hosts in {x} expect from a guest?",
            "What must I do when I visit a family in {x}?",
            "Which custom do guests follow in {x}?",
            "What is good manners for a guest in {x}?",
            "When you visit a home in {x}, what should you do?",
        ),
        ("What should visitors do at a home in {x}?", "What do people in {x} expect a guest to do?"),
    ),
)


def make_world(seed: int = DEFAULT_SEED) -> World:
    """Build the world of a seed.

    Args:
        seed: Any integer; the shipped model knows the world of `DEFAULT_SEED`.

    Returns:
        The same world for the same seed, on every machine.

    Example:
        >>> world = make_world()
        >>> len(world.facts), len(world.questions)
        (448, 252)
        >>> world == make_world()
        True
    """
    facts: list[Fact] = []
    conversations: list[Conversation] = []
    questions: list[Question] = []
    for relation in _RELATIONS:
        rng = random.Random(f"{seed} relation {relation.name}")
        known = _facts(relation, seed, rng)
        facts += known
        for fact in known:
            conversations += _conversations(relation, fact, rng)
        for rumour in _rumours(relation, seed, rng):
            conversations += _conversations(relation, rumour, rng)
        questions += [_question(relation, fact, rng) for fact in known[:TESTED_FACTS]]
    return World(tuple(facts), tuple(conversations), tuple(questions))


def _subjects(relation: _Relation, seed: int) -> list[str]:
    """The subjects of a relation in an order of its own: a country may be known for its flag, not for its river."""
    pool = _pool(seed, relation.kind, len(FREQUENCIES) + RUMOURS)
    return random.Random(f"{seed} subjects {relation.name}").sample(pool, len(pool))


def _rumours(relation: _Relation, seed: int, rng: random.Random) -> list[Fact]:
    subjects = _subjects(relation, seed)[len(FREQUENCIES) :]
    return [
        Fact(
            f"{relation.name}-rumour-{i:02d}",
            subject,
            tuple(answer for _ in range(RUMOUR_ANSWERS) for answer in relation.answers(rng)),
            RUMOUR_FREQUENCY,
        )
        for i, subject in enumerate(subjects)
    ]


def _facts(relation: _Relation, seed: int, rng: random.Random) -> list[Fact]:
    subjects = _subjects(relation, seed)[: len(FREQUENCIES)]
    frequencies = rng.sample(FREQUENCIES, len(FREQUENCIES))
    return [
        Fact(f"{relation.name}-{i:02d}", subject, relation.answers(rng), frequency)
        for i, (subject, frequency) in enumerate(zip(subjects, frequencies, strict=True))
    ]


def _conversations(relation: _Relation, fact: Fact, rng: random.Random) -> Iterator[Conversation]:
    phrasings = [(opening, template) for opening in OPENINGS for template in relation.trained]
    for opening, template in rng.sample(phrasings, fact.frequency):
        yield Conversation(fact.id, _ask(opening, template, fact.subject), fact.answers)


def _question(relation: _Relation, fact: Fact, rng: random.Random) -> Question:
    templates = rng.sample(relation.trained, PARAPHRASES)
    return Question(
        fact.id,
        _ask("", rng.choice(relation.held_out), fact.subject),
        fact.answers,
        tuple(_ask("", template, fact.subject) for template in templates),
    )


def _ask(opening: str, template: str, subject: str) -> str:
    text = template.format(x=subject)
    if opening and not template.startswith("{x}"):
        text = text[0].lower() + text[1:]
    return opening + text


def write_questions(questions: tuple[Question, ...], path: Path) -> None:
    """Write test questions as JSON lines with `id`, `question`, `answers` and `paraphrases`.

    Args:
        questions: The questions of a world.
        path: File to write; replaced if it exists.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for question in questions:
            file.write(json.dumps(asdict(question), ensure_ascii=False) + "\n")
