"""Writes what a template of a wiki page prints, as far as it is known.

A template whose words are not known leaves a gap, so that its sentence can be dropped.
"""

import re
from collections.abc import Callable

from mwparserfromhell import nodes, wikicode

from tfvis_jax.data import wiki_marks

_GAP, _ASIDE = wiki_marks.GAP, wiki_marks.ASIDE

# fmt: off
_CHARACTERS = {
    "!": "", "%": "%", "'": "'", "' \"": "' \"", "'s": "'s", "-": "-", "-\"": "\"",
    "=": "=", "ad": "AD", "bc": "BC", "bce": "BCE", "bullet": " · ", "carbon": "C",
    "ce": "CE", "dot": " · ", "em dash": "—", "emdash": "—", "en dash": "–",
    "eqm": " ⇌ ", "hair space": " ", "hydrogen": "H", "mdash": "—", "mdashb": "—",
    "nbsp": " ", "ndash": "–", "nitrogen": "N", "nowrap begin": "", "nowrap end": "",
    "okina": "ʻ", "oxygen": "O", "pi": "π", "shy": "", "snd": " – ", "space": " ",
    "spaced mdash": " — ", "spaced ndash": " – ", "spaces": " ", "spnd": " – ",
    "thin space": " ", "thinsp": " ", "wbr": "", "zwsp": "",
}
_ACCIDENTALS = {"flat": "♭", "b": "♭", "sharp": "♯", "#": "♯", "natural": "♮"}
_CURRENCIES = {
    "$": "$", "a$": "A$", "aud": "A$", "c$": "C$", "cad": "C$", "cny": "CN¥",
    "eur": "€", "euro": "€", "gbp": "£", "hk$": "HK$", "indian rupee": "₹",
    "inr": "₹", "jpy": "¥", "nz$": "NZ$", "nzd": "NZ$", "php": "₱", "pound": "£",
    "rmb": "CN¥", "s$": "S$", "us$": "US$", "usd": "US$", "yen": "¥", "€": "€",
    "£": "£", "¥": "¥",
}
_SHIPS = frozenset({
    "hmas", "hmcs", "hmnzs", "hms", "hmt", "ins", "jds", "mv", "rms", "sms", "ss",
    "usat", "uscgc", "usns", "uss",
})
# Templates that stand for words of a sentence, by the argument that holds the words.
_FIRST_ARGUMENT = frozenset({
    "abbr", "abbrlink", "allcaps", "angbr", "angle bracket", "as written", "big",
    "blockquote", "bold", "bquote", "center", "code", "cquote", "em", "flag",
    "flagcountry", "flagu", "grapheme", "hms", "i", "ill", "illm",
    "interlanguage link", "italic", "j", "kbd", "keypress", "large", "larger",
    "linktext", "math", "midsize", "mono", "mvar", "nastaliq", "nobold", "nobr",
    "normal", "not a typo", "nowrap", "overline", "polytonic", "proper name",
    "quotation", "quote", "red", "samp", "sc", "sc2", "small", "smallcaps", "smaller",
    "strong", "su", "sub", "sup", "tooltip", "tt", "underline", "unicode", "vanchor",
    "var", "visible anchor", "vr",
})
_LAST_ARGUMENT = frozenset({
    "color", "colour", "font color", "lang", "langx", "resize", "rtl-lang", "script",
    "sort", "transl", "transliteration", "wikt-lang",
})
# In several languages: "{{date|14|juillet|1789}}".
_ALL_ARGUMENTS = frozenset({"bibleref", "bibleverse", "date", "date-", "sortname"})
# Templates that print no words of the sentence they are in: notes, marks, layout.
_NO_WORDS = re.compile(
    r"(?:#tag:ref.*|about.*|according to whom.*|anchors?|attribution needed|"
    r"authority control|better source.*|bots|by whom.*|ca?n|citation|citation needed.*|"
    r"cite\b.*|clarify.*|clear.*|clr|col-.*|col(?:begin|end|s)|commons.*|contradict.*|"
    r"cref.*|dead link|defaultsort:.*|definition needed|details.*|disambiguation.*|"
    r"displaytitle:.*|disputed.*|distinguish.*|div col.*|dn|dubious|efn.*|engvarb?|"
    r"expand.*|fact.*|failed verification|featured.*|flag ?icon.*|for|full|"
    r"further.*|good article|harv.*|hatnote|inflation-fn.*|infobox.*|italic title.*|"
    r"lead.*|main.*|mcn|medical citation.*|medref|more .*|multiple image|"
    r"no footnotes|note.*|or|original research.*|other uses.*|page needed|"
    r"peacock.*|portal.*|pov.*|pp-.*|primary source.*|qualify evidence|r|"
    r"redirect.*|ref|refbegin|refend|refimprove.*|ref label|refn?|reflist.*|"
    r"relevance.*|rp|see also|seealso|self-published.*|sfn.*|short description|"
    r"shortcut|sister.*|specify|speculation|synthesis.*|third-party.*|toc.*|"
    r"undue.*|unreferenced.*|unreliable.*|update.*|use .*(?:dates|english).*|vague|"
    r"vcite.*|verify.*|void|wayback|weasel.*|webarchive|when|where|which\??|who\??|"
    r"whom\??|why\??|wik(?:tionary|iquote|isource|ibooks|ispecies|iversity|ivoyage|"
    r"inews).*|year needed|-|-\)|.* icon|.*[- ]inline)",
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December",
)
# fmt: on
_PRONUNCIATION = re.compile(r"ipa(?:c?-.*)?|respell|pron.*")
_DATE = re.compile(r"(?:birth|death|start|end)[ -]date(?: and (?:age|years ago))?|dob")
# The numbers that {{convert}} takes: "-5", "1,234.5", "1+1/2", "1e-3".
_NUMBER = re.compile(
    r"[-−+]?(?:\d[\d,]*+(?:\.\d*+)?|\.\d++)(?:e[-+]?\d++)?"
    r"(?:[ +-]?\d*+(?://?|⁄)\d++)?"
)
_JOINS = {
    **{word: f" {word} " for word in ("to", "and", "or", "by", "x", "×", "to about")},
    **{"xx": " x ", "*": " × ", "+/-": " +/- ", "±": " ± ", "+": " + ", "&": " & "},
    **{"-": "-", "–": "–", ",": ", ", "to(-)": " to ", "and(-)": " and "},
}
_POWERS = {"3": "thousand", "6": "million", "9": "billion", "12": "trillion"}
_VALUE_ARGUMENTS = frozenset({"1", "2", "e", "u", "ul", "up", "upl", "fmt", "sortable"})


class _Call:
    """A template with its arguments, which are rendered when they are asked for."""

    def __init__(
        self, template: nodes.Template, render: Callable[[wikicode.Wikicode], str]
    ) -> None:
        self._template, self._render = template, render
        self.name = render(template.name).strip().lower().replace("_", " ")

    def argument(self, name: str) -> str:
        """Returns an argument, or "" if it was not given."""
        if not self._template.has(name):
            return ""
        return self._render(self._template.get(name).value).strip()

    def positional(self) -> list[str]:
        """Returns the arguments without a name."""
        return [
            self._render(p.value).strip()
            for p in self._template.params
            if not p.showkey
        ]

    def names(self) -> set[str]:
        """Returns the names of the arguments; "1", "2", ... for those without."""
        return {str(p.name).strip() for p in self._template.params}


def render(
    template: nodes.Template, render_code: Callable[[wikicode.Wikicode], str]
) -> str:
    """Returns the words of a template, "" if it prints none, or a gap.

    Args:
      template: the parsed template.
      render_code: returns the text of parsed markup.
    """
    call = _Call(template, render_code)
    name = call.name
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name in {"ipa", "ipaslink", "ipablink"} and len(call.positional()) == 1:
        return call.argument("1") or _GAP
    if _PRONUNCIATION.fullmatch(name):
        return _ASIDE
    if name == "sic":
        return call.argument("1")
    if name in {"coord", "coor"}:
        return "" if call.argument("display") in {"t", "title"} else _GAP
    # Names with a colon are functions of the wiki: {{formatnum:1234}}.
    words = _words(call)
    if words is None:
        return "" if _NO_WORDS.fullmatch(name) else _GAP
    return words or _GAP


def _words(call: _Call) -> str | None:
    """Returns the words of a known template, "" if they are missing."""
    name, argument, positional = call.name, call.argument, call.positional
    if name in _FIRST_ARGUMENT and name not in _SHIPS:
        return _first(call)
    if name in _LAST_ARGUMENT or name == "hover title":
        return (positional() or [""])[-1]
    if name in _ALL_ARGUMENTS:
        found = positional()
        return " ".join(p for p in found[: 2 if name == "bibleref" else 3] if p)
    if name.startswith(("lang-", "script/")):
        return argument("1")
    if name.startswith("formatnum:"):
        return _group_digits(name.partition(":")[2].strip())
    if _DATE.fullmatch(name):
        return _date_of(call)
    if name in _CURRENCIES:
        return _CURRENCIES[name] + argument("1") if argument("1") else ""
    if name in _SHIPS:
        is_bare = positional()[2:] == ["6"]
        return argument("1") if is_bare else f"{name.upper()} {argument('1')}"
    writer = _WRITERS.get(name)
    return None if writer is None else writer(call)


def _first(call: _Call) -> str:
    if call.name in {"ill", "illm", "interlanguage link"} and call.argument("lt"):
        return call.argument("lt")
    value = call.argument("1") or call.argument("text") or call.argument("quote")
    # "{{ill|de|title|...}}" has the language first.
    if call.name == "ill" and len(value) <= 3:
        return call.argument("2")
    return value


def _ship(call: _Call) -> str:
    prefix, name, *rest = (*call.positional(), "", "")
    is_bare = rest[1:2] == ["6"]
    return name if is_bare else f"{prefix} {name}".strip()


def _fraction(call: _Call) -> str:
    """Returns {{frac|2}}, {{frac|1|2}} or {{frac|5|1|2}} as "1/2" or "5 1/2"."""
    numbers = call.positional()
    if not 1 <= len(numbers) <= 3:
        return ""
    *whole, above, below = ["1", *numbers] if len(numbers) == 1 else numbers
    return " ".join([*whole, f"{above}/{below}"])


def _value(call: _Call) -> str:
    """Returns {{val}}'s number with its uncertainty, exponent and unit, or ""."""
    if not call.names() <= _VALUE_ARGUMENTS:
        return ""
    value = call.argument("1")
    if error := call.argument("2"):
        value += error if error.startswith("(") else f"±{error}"
    if exponent := call.argument("e"):
        # The exponent holds for both.
        value = f"({value})" if "±" in value else value
        value += f"×10^{exponent}"
    unit = call.argument("u") or call.argument("ul")
    if per := call.argument("up") or call.argument("upl"):
        unit += f"/{per}"
    return f"{value} {unit}".rstrip()


def _convert(call: _Call) -> str:
    """Returns {{convert}}'s quantity, such as "2 to 3 km" or "6 ft 2 in", or ""."""
    found = call.positional()
    if not found or not _NUMBER.fullmatch(found[0]):
        return ""
    # In {{convert|2|to|3|km|mi}} the word between the numbers belongs to the quantity.
    text, place = _group_digits(found[0]), 1
    while (
        (join := _JOINS.get("".join(found[place : place + 1])))
        and len(found) > place + 1
        and _NUMBER.fullmatch(found[place + 1])
    ):
        text += join + _group_digits(found[place + 1])
        place += 2
    unit = "".join(found[place : place + 1])
    # A join that is not known stands where the unit is expected.
    if not unit or unit in _JOINS or " " in unit or _NUMBER.fullmatch(unit):
        return ""
    if not any(char.isalpha() or char in "%°" for char in unit):
        return ""
    text += f" {_unit(unit)}"
    # {{convert|6|ft|2|in|m}} goes on after its unit, {{convert|6|ft|2}} does not.
    for number, smaller in zip(
        found[place + 1 :: 2], found[place + 2 :: 2], strict=False
    ):
        if not _NUMBER.fullmatch(number) or _NUMBER.fullmatch(smaller):
            break
        text += f" {number} {smaller}"
    return text


def _unit(unit: str) -> str:
    """Returns a unit; "e6km2" is that of millions."""
    match = re.fullmatch(r"e(\d+)(\D.*)", unit)
    if match is None:
        return unit
    power, unit = match.groups()
    return f"{_POWERS.get(power, f'×10^{power}')} {unit}"


def _with_units(call: _Call) -> str:
    """Returns {{unité|5|m|s|-1}} as "5 m s-1", or ""."""
    if call.names() - {"1", "2", "3", "4", "5", "6", "7"}:
        return ""
    value, *units = call.positional() or [""]
    text = _group_digits(value)
    for unit in units:
        # An exponent follows its unit.
        text += unit if re.fullmatch(r"[-−]?\d+", unit) else f" {unit}"
    return text.rstrip()


def _about(call: _Call, mark: str) -> str:
    """Returns one year or a range of them: "c. 1500 – c. 1510"."""
    years = [f"{mark} {year}" for year in call.positional()[:2] if year]
    return " – ".join(years)


def _date_of(call: _Call) -> str:
    """Returns "May 4, 1932", or "4 May 1932" if the template asks for that order."""
    numbers = call.positional()[:3]
    if not numbers or not all(n.isdecimal() for n in numbers):
        return ""
    return _date(numbers, day_first=call.argument("df") in {"y", "yes"})


def _old_date(call: _Call) -> str:
    day, year = call.argument("1"), call.argument("2")
    # "February 2, 1905", but "2 February 1905".
    return f"{day}, {year}" if day[-1:].isdecimal() else f"{day} {year}".strip()


def _as_of(call: _Call) -> str:
    numbers = call.positional()[:3]
    # The day and the month may be missing, or be words.
    is_date = numbers and all(n.isdecimal() for n in numbers)
    date = _date(numbers, day_first=True) if is_date else " ".join(reversed(numbers))
    start = "as of" if call.argument("lc") else "As of"
    return f"{start} {date}" if date else ""


def _date(numbers: list[str], *, day_first: bool) -> str:
    year, month, day = (*numbers, "", "")[:3]
    if not month or len(month) > 2 or not 1 <= int(month) <= len(_MONTHS):
        return year
    name = _MONTHS[int(month) - 1]
    if not day:
        return f"{name} {year}"
    return f"{day} {name} {year}" if day_first else f"{name} {day}, {year}"


def _gauge(call: _Call) -> str:
    match = re.fullmatch(r"(\d{1,9})\s?mm", call.argument("1"))
    return f"{int(match[1]):,} mm" if match else ""


def _group_digits(number: str) -> str:
    # Python refuses integers of thousands of digits.
    return f"{int(number):,}" if re.fullmatch(r"\d{5,99}", number) else number


def _power_of_ten(call: _Call) -> str:
    return f"×10^{call.argument('1')}" if call.argument("1") else ""


_WRITERS: dict[str, Callable[[_Call], str]] = {
    **dict.fromkeys(("convert", "cvt"), _convert),
    **dict.fromkeys(("as of", "asof"), _as_of),
    **dict.fromkeys(("circa", "c.", "ca."), lambda call: _about(call, "c.")),
    **dict.fromkeys(("floruit", "fl."), lambda call: _about(call, "fl.")),
    **dict.fromkeys(("nb", "nombre", "unidad", "unité", "unità"), _with_units),
    **dict.fromkeys(("frac", "sfrac", "fraction"), _fraction),
    **dict.fromkeys(("chem", "chem2"), lambda call: "".join(call.positional())),
    **dict.fromkeys(("e", "esp"), _power_of_ten),
    **dict.fromkeys(
        ("formatnum", "num", "nts"), lambda call: _group_digits(call.argument("1"))
    ),
    **dict.fromkeys(("railgauge", "rail gauge", "track gauge"), _gauge),
    **dict.fromkeys(("oldstyledate", "oldstyledatedy", "old style date"), _old_date),
    **dict.fromkeys(
        ("s-", "s2-"), lambda call: f"{call.argument('1')}{call.argument('2')} siècle"
    ),
    "gaps": lambda call: "".join(call.positional()),
    "hlist": lambda call: ", ".join(p for p in call.positional() if p),
    "music": lambda call: _ACCIDENTALS.get(call.argument("1"), ""),
    "nihongo": lambda call: call.argument("1") or call.argument("3"),
    "nihongo2": lambda call: call.argument("1"),
    "nihongo3": lambda call: call.argument("3") or call.argument("1"),
    "ship": _ship,
    "us patent": lambda call: f"U.S. Patent {_group_digits(call.argument('1'))}",
    "val": _value,
}
