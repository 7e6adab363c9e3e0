"""Small tokenizers of the kinds that models have, made in memory."""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

_LETTERS = [chr(letter) for letter in range(ord("a"), ord("z") + 1)]


def byte_level() -> PreTrainedTokenizerFast:
    """GPT-2's kind: one token a byte, a space with the byte behind it, and a few whole words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["ĠK", "ĠF", "by", "Ġby"]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", "K"), ("Ġ", "F"), ("b", "y"), ("Ġ", "by")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


def sentence_pieces() -> PreTrainedTokenizerFast:
    """Llama 2's kind: spaces are ``▁``, what is not in the vocabulary is bytes, a text's first space is not shown."""
    pieces = ["<unk>", "▁", *_LETTERS, "K", "F", "▁K", "▁by", "by"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    merges = [("▁", "K"), ("b", "y"), ("▁", "by")]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


def word_pieces() -> PreTrainedTokenizerFast:
    """BERT's kind: what goes on with a word begins with ``##``."""
    pieces = ["[UNK]", "by", "K", "##agoshima", "Fuji", ","]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s,]+"), "removed")
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)
