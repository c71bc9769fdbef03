"""Log-probabilities of a prompt as servers tell them."""

import pytest

from lem.backends.openai import likelihood
from lem.workloads.likelihood import Passage


def test_likelihoods_are_the_prompt_s_own() -> None:
    asked = Passage([5, 6, 7], 1)
    vllm = {
        "choices": [
            {
                "prompt_logprobs": [
                    None,
                    {"6": {"logprob": -1.5}, "9": {"logprob": -0.1}},
                    {"7": {"logprob": -2.5}},
                ]
            }
        ]
    }
    assert likelihood._read_logprobs(vllm, asked) == (-4.0, False)
    assert likelihood._read_logprobs(vllm, Passage(asked.ids, 2)) == (-2.5, True)
    echo = {
        "choices": [{"logprobs": {"token_logprobs": [None, -1.0, -2.0, -9.0]}}],
        "usage": {"prompt_tokens": 3},
    }
    # Without the likeliest tokens beside them it can't be told what is greedy.
    assert likelihood._read_logprobs(echo, asked) == (-3.0, None)
    tops = [None, {" a": -1.0}, {" b": -0.5, " c": -2.0}, {" d": -9.0}]
    whole = {
        **echo,
        "choices": [
            {"logprobs": {"token_logprobs": [None, -1.0, -2.0, -9.0], "top_logprobs": tops}}
        ],
    }
    assert likelihood._read_logprobs(whole, asked) == (-3.0, False)
    for broken in (
        {"choices": [{"prompt_logprobs": [None, {"9": {"logprob": -0.1}}, {}]}]},
        {**echo, "usage": {"prompt_tokens": 4}},
        {"choices": [{"logprobs": {"token_logprobs": [-0.2]}}], "usage": {"prompt_tokens": 3}},
        {"choices": [{"logprobs": None}], "usage": {"prompt_tokens": 3}},
    ):
        with pytest.raises((KeyError, IndexError, TypeError, ValueError)):
            likelihood._read_logprobs(broken, asked)
