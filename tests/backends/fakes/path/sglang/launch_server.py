"""A fake of ``python -m sglang.launch_server`` (SGLang 0.5.23): its command line, ``/health``,
``/server_info``, ``/v1/completions`` and ``/generate``."""

import argparse
import sys
from typing import Any

from sglang.srt.server_args import ServerArgs
from tests.backends.fakes import answers, server


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="sglang serve")
    ServerArgs.add_cli_args(parser)
    asked = {k: v for k, v in vars(parser.parse_args(words)).items() if v is not None}
    args = ServerArgs(**asked)

    def info(_: dict[str, Any]) -> dict[str, Any]:
        resolved = args.resolved_dict()
        state = {"effective_max_running_requests_per_dp": resolved["max_running_requests"]}
        return {**resolved, "internal_states": [state], "version": "0.5.23"}

    def generate(what: dict[str, Any]) -> dict[str, Any]:
        ids = what["input_ids"]
        assert what["return_logprob"] and what["logprob_start_len"] == 0
        told = [[answers.logprob(ids, i), ids[i], None] for i in range(1, len(ids))]
        tops = [[[*answers.likeliest(ids, i), None]] for i in range(1, len(ids))]
        assert what["top_logprobs_num"] == 1
        return {
            "meta_info": {
                "input_token_logprobs": [[None, ids[0], None], *told],
                "input_top_logprobs": [None, *tops],
            }
        }

    more = {"/server_info": info, "/generate": generate}
    server.serve(
        args.port, lambda _: None, more, args.resolved_dict()["max_running_requests"] or 48
    )


if __name__ == "__main__":
    main(sys.argv[1:])
