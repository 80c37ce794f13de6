"""The texts that tokenizers are measured with, and what the measuring leaves behind."""

from bench.tokens.texts import hostile, of_length, ordinary


def test_texts_are_the_same_each_time_and_long_enough_to_tell() -> None:
    for make in (ordinary, hostile):
        texts = make()
        assert make() == texts
        assert min(map(len, texts.values())) >= 100


def test_a_text_is_brought_to_a_length_in_whole_characters() -> None:
    for text in ("word ", "für über ", "日本語", "🏴"):
        for size in (1, 10, 1_024):
            cut = of_length(text, size)
            assert size - 4 < len(cut.encode()) <= size
