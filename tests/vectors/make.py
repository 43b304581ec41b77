"""Makes the vectors that the counter is checked with: texts, and what tiktoken counts for them.

    pip install tiktoken
    python3 tests/vectors/make.py o200k_base.tiktoken cl100k_base.tiktoken

The rank files are the provider's; the package `tiktoken-rs` has them among its assets. Writes
`counts.jsonl.gz` beside itself: a line for each text, `[text, o200k_base, cl100k_base]`. The same
files always give the same texts.
"""

import gzip
import json
import pathlib
import random
import string
import sys
import unicodedata

import tiktoken
from tiktoken.load import load_tiktoken_bpe
from tiktoken_ext import openai_public

TEXTS = 24_000

# The first sentence of the Universal Declaration of Human Rights and what is like it.
PROSE = """
All human beings are born free and equal in dignity and rights. They aren't things, we've said; it's what they'll remember.
Alle Menschen sind frei und gleich an Würde und Rechten geboren. Größe, Straße, Übermut; „Ja“, sagte er – und ging.
Tous les êtres humains naissent libres et égaux en dignité et en droits. L'été, aujourd'hui, c'était où ? « Là-bas ! »
Todos los seres humanos nacen libres e iguales en dignidad y derechos. ¿Cuándo? ¡Mañana, señor!
Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Perché l'acqua è così?
Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Não há ações.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Zażółć gęślą jaźń.
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň.
Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Árvíztűrő tükörfúrógép.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. İstanbul'da ılık bir gün.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.
Все люди рождаются свободными и равными в своём достоинстве и правах. Объём, ёлка; «да», — сказал он.
Всі люди народжуються вільними і рівними у своїй гідності та правах. Ґанок, їжак, п'ять.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. ΣΊΣΥΦΟΣ;
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. שָׁלוֹם עֲלֵיכֶם.
يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. قُرْآن، ١٢٣٤؟
تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند. ۱۳۹۹
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है। क्षत्रिय १२३
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள் மதிப்பிலும் உரிமைகளிலும் சமமானவர்கள்.
ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ๑๒๓
လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း မွေးဖွားလာသူများ ဖြစ်သည်။
មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។
ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. ᲗᲑᲘᲚᲘᲡᲘ
Բոլոր մարդիկ ծնվում են ազատ ու հավասար՝ իրենց արժանապատվությամբ ու իրավունքներով։
የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። ፲፪
人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。
人人生而自由﹐在尊嚴和權利上一律平等。「是嗎？」他問。
すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。ｶﾀｶﾅ、ヴァイオリン、々〆〇
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. ㄱㄴㄷ ᄒᆞᆫ글
ᏂᎦᏓ ᎠᏂᏴᏫ ᏂᎨᎫᏓᎸᎾ ᎠᎴ ᎤᏂᏠᏱ ᎤᎾᏕᎿ ꭰꭱꭲ. ⴰⵎⵓⵔ, ᚠᚢᚦ, 𐌰𐌱𐌲, 𒀀𒀁, 𓀀𓀁, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚
""".strip().splitlines()

CODE = [
    pathlib.Path(__file__).read_text(encoding="utf-8"),
    "fn main() -> Result<(), Box<dyn Error>> {\n\tlet x: Vec<_> = vec![1, 2];\r\n\n    println!(\"{x:?}\");\n}\n",
    "#include <stdio.h>\n\nint main(void)\n{\n        for (int i = 0; i < 10; ++i) { printf(\"%d\\n\", i); }\n}\n",
    "SELECT u.id, COUNT(*) AS n FROM users u LEFT JOIN orders o ON o.user_id=u.id WHERE u.name LIKE 'O''Brien%' GROUP BY 1;\n",
    "<!DOCTYPE html>\n<div class=\"a-b c__d\" onclick='f(\"x\")'>&nbsp;&#x27;</div>\n\n<!-- //// -->\n",
    "const f=async({a,b:{c=1}={}})=>{await x?.y?.[z]??`${a}/n`;return/[a-z]+\\/\\d{2,}/gi.test(s)}//end\n",
    "$ curl -sS https://api.example.com/v1/chat/completions?x=1&y=%20 -H 'A: b' | jq '.[] | .id' >/dev/null 2>&1\n",
    "| a | b |\n|---|:-:|\n| `x` | **y** |\n\n- [ ] one\n  1. two\n\n---\n\n> it's\n\n```sh\nls\n```\n",
    "2024-01-31T23:59:59.999+01:00 WARN [0x7fff5fbff8c0] 192.168.0.1:8080 (99.95%) 1,234,567.89 1e-10 $5 €7\n",
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==",
    "\\begin{align}\n  \\frac{\\partial f}{\\partial x_{i}} &= \\sum_{j=1}^{n} a_{ij}\\,x_j \\\\\n\\end{align}\n% ∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β → γ\n",
]

SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2002\u2009\u2028\u2029\u202f\u205f\u3000"
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇺🇳", "❤️", "1️⃣", "☎", "🧑🏿‍🚀", "©", "™", "🫠", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]
QUOTES = ["'", "’", "ʼ", "`", "''"]
ENDINGS = ["s", "t", "re", "ve", "m", "ll", "d", "ſ", "lL", "rE", "sd", "x", "l", "é"]
MARKS = "\u0301\u0300\u0308\u0327\u20dd\u093f\u0903\ufe0f\u200d\u200c\u200b\ufeff\u0e31\u05b8\u064b"
CONTROLS = [chr(code) for code in [*range(32), *range(127, 160)]]

chance = random.Random(1)


def slice_of(text, most=120):
    start = chance.randrange(len(text))
    return text[start : start + chance.randint(1, most)]


def prose():
    return slice_of(chance.choice(PROSE))


def paragraphs():
    lines = chance.choices(PROSE, k=chance.randint(2, 4))
    return chance.choice(["\n", "\n\n", " ", "\r\n", "  \n\t"]).join(line[: chance.randint(5, 90)] for line in lines)


def code():
    return slice_of(chance.choice(CODE), 200)


def value(depth):
    kinds = [lambda: chance.random(), lambda: chance.randint(-9, 10**9), lambda: slice_of(chance.choice(PROSE), 20), lambda: None]
    if depth:
        kinds += [
            lambda: [value(depth - 1) for _ in range(chance.randint(0, 3))],
            lambda: {slice_of(chance.choice(PROSE), 9): value(depth - 1) for _ in range(chance.randint(0, 3))},
        ]
    return chance.choice(kinds)()


def some_json():
    indent, is_ascii = chance.choice([None, None, 1, 4]), chance.random() < 0.3
    return json.dumps(value(3), indent=indent, ensure_ascii=is_ascii)[:250]


def of(characters, most=40):
    return "".join(chance.choices(characters, k=chance.randint(1, most)))


def spaces():
    parts = [of(SPACES, 6) if chance.random() < 0.4 else of(" \n", 9), of("aB1!é中/'", 3)]
    return "".join(chance.choice(parts) if chance.random() < 0.2 else part for _ in range(chance.randint(1, 5)) for part in parts)


def contractions():
    def one():
        ending = chance.choice(ENDINGS)
        ending = "".join(chance.choice([str.upper, str.lower, str])(letter) for letter in ending)
        word = chance.choice(["I", "we", "DON", "x1", "中", "e\u0301", "", " ", "McX", "ǅ", "!"])
        return word + chance.choice(QUOTES) + ending + chance.choice(["", " ", "n", "S", "'s", "."])

    return "".join(one() for _ in range(chance.randint(1, 5)))


def digits():
    return of("0123456789", 30) if chance.random() < 0.5 else of("0123456789.,-+/ eE%٣५๓Ⅷ½²①", 30)


def emoji():
    return "".join(chance.choice(EMOJI + ["a", " ", "\n"]) for _ in range(chance.randint(1, 12)))


def marks():
    return of(MARKS + "aEé中ก !1'\n")


def controls():
    return of(CONTROLS + list("aZ \n1"))


def case():
    return of("aabcXYZßÄéÉǅʰªº中ー\u0301'/_-. 1", 40)


def scalar():
    while True:
        code = chance.randrange(0x110000)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def of_category(prefix):
    def make():
        text = ""
        while len(text) < 4:
            found = scalar()
            if unicodedata.category(found).startswith(prefix):
                text += found
        return text + chance.choice(["", " ", "a", "1"]) + text[:2]

    return make


def any_unicode():
    return "".join(scalar() for _ in range(chance.randint(1, 20)))


def one_block():
    start = chance.randrange(0x3000)
    return "".join(chr(start + chance.randrange(64)) for _ in range(chance.randint(1, 30)))


def any_bytes():
    return chance.randbytes(chance.randint(1, 60)).decode("utf-8", "replace")


def broken_text():
    data = bytearray(slice_of(chance.choice(PROSE), 60).encode())
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return data.decode("utf-8", "replace")


def letters():
    return of(string.ascii_letters, 60) if chance.random() < 0.5 else of(string.ascii_lowercase, 200)


def runs():
    unit = chance.choice([*" \t\n\r-=_*#./aAzé中😀0!\x00\u0301", "ab", " \n", "\r\n", "'s", "//", "aB"])
    return chance.choice(["", "x", " ", "\n"]) + unit * chance.randint(2, 600) + chance.choice(["", "x", " ", "\n", "1"])


def mixed():
    kinds = [prose, code, spaces, contractions, digits, emoji, marks, controls, any_unicode, letters]
    return "".join(chance.choice(kinds)()[: chance.randint(1, 25)] for _ in range(chance.randint(2, 6)))


def long_text():
    return "".join(chance.choice([prose, paragraphs, code, some_json])() for _ in range(chance.randint(10, 40)))


# How often each is made, of all.
KINDS = {
    prose: 16, paragraphs: 5, code: 12, some_json: 6, spaces: 10, contractions: 8, digits: 4, emoji: 4, marks: 6,
    controls: 3, case: 8, any_unicode: 3, one_block: 5, any_bytes: 3, broken_text: 3, letters: 4, runs: 5, mixed: 10,
    of_category("Co"): 1, of_category("Cn"): 1, of_category("M"): 1, of_category("N"): 1, of_category("P"): 1,
    of_category("S"): 1, of_category("Lm"): 1, of_category("Lt"): 0.2, of_category("Z"): 0.2,
}  # fmt: skip


def encoding(path):
    path = pathlib.Path(path)
    parameters = getattr(openai_public, path.stem)
    # The definition as the package has it, with ranks that are not downloaded.
    openai_public.load_tiktoken_bpe = lambda *_, **__: load_tiktoken_bpe(str(path))
    return tiktoken.Encoding(**parameters())


encodings = [encoding(path) for path in sys.argv[1:]]
texts = {}
while len(texts) < TEXTS:
    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
    texts[kind()] = None
for _ in range(100):
    texts[long_text()] = None
lines = (json.dumps([text, *(len(e.encode_ordinary(text)) for e in encodings)], ensure_ascii=False) for text in texts)
data = "".join(line + "\n" for line in lines).encode()
with open(pathlib.Path(__file__).with_name("counts.jsonl.gz"), "wb") as file:
    file.write(gzip.compress(data, 9, mtime=0))
print(f"{len(texts)} texts, {len(data)} bytes")
