"""Messages and prompts from a file → token ids, through the model's chat template."""

from lem.errors import BadInput, LemError
from lem.workloads.datasets.file import DataFile
from lem.workloads.requests import Message, Tokenizer


def encoded(
    messages: list[Message], tokenizer: Tokenizer, file: DataFile, line: int | None
) -> list[int]:
    """The ids of a conversation that waits for its next answer.

    Raises :class:`BadInput` where the model's template does not take it.
    """
    try:
        if len(messages) == 1 and messages[0]["role"] == "user":
            return tokenizer.encode(messages[0]["content"], chat=True)
        return tokenizer.chat(messages)
    except LemError:
        raise
    except Exception as e:  # whatever a template written by others raises
        raise file.bad(
            f"the model's chat template does not take these messages: {str(e)[:300]}", line
        ) from e


def shown(messages: list[Message]) -> str:
    """A conversation for people; a single question as it is."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{m['role']}: {m['content']}" for m in messages)


def too_few(file: DataFile, found: int, n: int, left_out: int, what: str) -> BadInput:
    """The error that a file has fewer requests than the workload asks for.

    None is sent twice unseen: an engine that keeps prompts would answer it from its cache.
    """
    shorter = f" ({left_out} left out by the limits on their length)" if left_out else ""
    error = file.bad(f"gives {found} {what}{shorter}, and workload.requests asks for {n}")
    error.hint = f"workload.requests: {found}" if found else "raise the limits on length"
    return error
