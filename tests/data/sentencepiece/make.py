"""Trains a small SentencePiece BPE model with byte fallback, as the Llama-2 models have it, and writes what the library makes of
some texts. Needs the Python package sentencepiece (0.2):

    python3 tests/data/sentencepiece/make.py

Writes tokenizer.model and cases.json beside itself. The same version of the library gives the same files.
"""

import io
import json
import pathlib

import sentencepiece

HERE = pathlib.Path(__file__).resolve().parent

WORDS = """a model reads text as pieces and writes pieces as text the pieces that occur most often are whole words others
are parts of words and what never occurred is spelled in bytes rain fell on the roof all night and the cat slept by the stove while
the kettle sang an engine of many small numbers weighs each word against every other and asks which one comes next hello world
this sentence ends with a question does it not yes it does numbers such as 1 2 3 10 42 100 1984 and 2026 are pieces too
über straße café naïve garçon señor привет мир""".split()


def corpus():
    """Sentences in an order that depends on nothing but the words."""
    state = 1
    for _ in range(3000):
        sentence = []
        for _ in range(4 + state % 9):
            state = (state * 1103515245 + 12345) % 2**31
            sentence.append(WORDS[(state >> 8) % len(WORDS)])
        text = " ".join(sentence)
        yield (text[0].upper() + text[1:] + ".") if state % 3 else text


TEXTS = [
    "", " ", "  ", "a", " a", "  a", "a ", "Hello world!", "hello  world", "The cat sat on the mat.", "the the the",
    "line one\nline two\n", "\ttabbed\t", "numbers 1984, 2026 and 3.14159", "Straße, café, naïve", "привет, мир",
    "你好，世界", "emoji 🙂 and 👩‍👩‍👧", "mixed 日本 and text", "zero\u200bwidth", "▁ is a space inside", "a▁b",
    "unseen: {}[]<>|\\~^", "<s> is text here", "</s>", "<0x41> is text", "a\u0301 combining", "ﬁ ligature",
    "trailing newline\n\n", "MiXeD CaSe WoRdS", "supercalifragilisticexpialidocious", "x" * 40, "word " * 20,
    "the question is: does it not?", "an engine of many small numbers", "ÿ\u0080\u07ff\u0800\uffff\U00010000",
]


def main():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(), model_writer=model, model_type="bpe", vocab_size=640, byte_fallback=True,
        character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2,
    )
    (HERE / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    cases = []
    for text in TEXTS:
        ids = processor.encode(text)
        cases.append({"text": text, "ids": ids, "decoded": processor.decode(ids)})
    facts = {
        "library": f"sentencepiece {sentencepiece.__version__}",
        "tokens": processor.get_piece_size(),
        "bos": processor.bos_id(), "eos": processor.eos_id(), "unk": processor.unk_id(),
        "cases": cases,
    }
    (HERE / "cases.json").write_text(json.dumps(facts, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
