"""llama.cpp's own tokenizer of a GGUF file."""

from pathlib import Path

from lem.backends import gguf_metadata
from lem.backends.llama_cpp import binding
from lem.workloads.requests import Message, plain_chat


class GgufTokenizer:
    """llama.cpp's own tokenizer; fills :class:`lem.workloads.requests.Tokenizer`.

    The model stays on disk (mapped, never touched) while it lives.
    """

    def __init__(self, path: Path) -> None:
        metadata = gguf_metadata.read(path)
        self.vocabulary, self.special_ids = gguf_metadata.vocabulary(metadata)
        ends = (metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
        self.prefix_id = next((i for i in ends if isinstance(i, int)), None)
        self._chat = bool(metadata.get("tokenizer.chat_template"))
        self._server = binding.light_server(path)

    def encode(self, text: str, chat: bool) -> list[int]:
        if chat:
            return self.chat([{"role": "user", "content": text}])
        return self._tokens({"content": text, "add_special": True, "parse_special": False})

    def bare(self, text: str) -> list[int]:
        return self._tokens({"content": text, "add_special": False, "parse_special": False})

    def chat(self, messages: list[Message]) -> list[int]:
        if not self._chat:
            return self.encode(plain_chat(messages), chat=False)
        answer = binding.post(self._server, "/apply-template", {"messages": messages})
        # The template writes the special tokens itself.
        what = {"content": answer["prompt"], "add_special": False, "parse_special": True}
        return self._tokens(what)

    def _tokens(self, what: dict[str, object]) -> list[int]:
        return list(binding.post(self._server, "/tokenize", what)["tokens"])

    def decode(self, ids: list[int]) -> str:
        plain = [i for i in ids if i not in self.special_ids]
        return str(binding.post(self._server, "/detokenize", {"tokens": plain})["content"])
