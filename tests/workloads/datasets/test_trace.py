"""Recorded traces: lengths, shared blocks and times, in the two formats that are published."""

import json
from pathlib import Path

import pytest

from lem.errors import BadInput
from tests.workloads.datasets.made import Words, kept, made

MOONCAKE = """\
{"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]}
{"timestamp": 27482, "input_length": 700, "output_length": 26, "hash_ids": [46, 50]}
{"timestamp": 30535, "input_length": 600, "output_length": 0, "hash_ids": [51, 52]}
{"timestamp": 31000.5, "input_length": 1000, "output_length": 7, "hash_ids": [46, 47]}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,0,55
2023-11-16 18:16:46.6805901,2,93
"""


def test_mooncake_lengths_times_and_shared_blocks(tmp_path: Path) -> None:
    requests = made({"kind": "trace", **kept(tmp_path, MOONCAKE)}, 3, tmp_path)
    assert [(len(r.input_ids), r.output_tokens) for r in requests] == [
        (1100, 52),
        (700, 26),
        (1000, 7),
    ]
    assert [r.at_s for r in requests] == [0.0, 0.0, 3.5185]
    a, b, c = (r.input_ids for r in requests)
    assert a[:512] == b[:512] and a[512:700] != b[512:700]
    # Equal ids, equal blocks: also where the prompt ends within one.
    assert a[:1000] == c
    assert not Words.special_ids & set(a)


def test_blocks_are_the_same_wherever_they_are_met_first(tmp_path: Path) -> None:
    swapped = "\n".join(
        json.dumps({"timestamp": i, "input_length": 512, "output_length": 1, "hash_ids": [h]})
        for i, h in enumerate([47, 46])
    )
    first = made({"kind": "trace", **kept(tmp_path, MOONCAKE)}, 1, tmp_path)[0].input_ids
    other = made({"kind": "trace", **kept(tmp_path, swapped)}, 2, tmp_path)
    assert [r.input_ids for r in other] == [first[512:1024], first[:512]]


def test_tokens_beyond_the_blocks_are_the_requests_own(tmp_path: Path) -> None:
    rows = [
        {"timestamp": i, "input_length": 600, "output_length": 1, "hash_ids": [3]} for i in (1, 2)
    ]
    file = kept(tmp_path, "\n".join(map(json.dumps, rows)))
    a, b = (r.input_ids for r in made({"kind": "trace", **file}, 2, tmp_path))
    assert a[:512] == b[:512] and a[512:] != b[512:] and len(a) == len(b) == 600


def test_azure_lengths_and_times(tmp_path: Path) -> None:
    requests = made({"kind": "trace", **kept(tmp_path, AZURE, "azure.csv")}, 3, tmp_path)
    assert [(len(r.input_ids), r.output_tokens) for r in requests] == [
        (374, 44),
        (396, 109),
        (2, 93),
    ]
    # The seventh digit of the second is beyond what is kept.
    assert [r.at_s for r in requests] == [0.0, 4.314579, 60.0]


def test_azure_with_zones_other_columns_and_line_ends(tmp_path: Path) -> None:
    text = (
        "\ufeffTIMESTAMP,NumImages,ContextTokens,GeneratedTokens\r\n"
        "2024-05-10 00:00:00.009930+00:00,1,10,5\r\n"
        "2024-05-10 01:00:00.009930+01:00,1,11,6\r\n"
        "2024-05-10 00:00:10.000000+00:00,2,12.0,7\r\n"
    )
    requests = made({"kind": "trace", **kept(tmp_path, text, "azure.csv")}, 3, tmp_path)
    assert [len(r.input_ids) for r in requests] == [10, 11, 12]
    assert [r.at_s for r in requests] == [0.0, 0.0, 9.99007]


def test_long_ones_are_left_out_and_time_begins_with_the_first_that_is_sent(tmp_path: Path) -> None:
    file = kept(tmp_path, MOONCAKE)
    requests = made({"kind": "trace", "max_input_tokens": 1000, **file}, 2, tmp_path)
    assert [(len(r.input_ids), r.at_s) for r in requests] == [(700, 0.0), (1000, 3.5185)]
    replayed = {"kind": "trace", **file}
    same = made({"kind": "trace", "max_input_tokens": 1000, **file}, 2, tmp_path, arrival=replayed)
    assert same == requests


def test_any_data_set_can_have_a_traces_times(tmp_path: Path) -> None:
    arrival = {"kind": "trace", "speed": 2.0, **kept(tmp_path, MOONCAKE)}
    plain = {"kind": "random", "input_tokens": 5}
    requests = made(plain, 4, tmp_path, arrival=arrival)
    # How fast they are replayed is not the list's.
    assert [r.at_s for r in requests] == [0.0, 0.0, 3.053, 3.5185]
    assert [r._replace(at_s=None) for r in requests] == made(plain, 4)
    with pytest.raises(BadInput, match=r"gives 4 times, and workload.requests asks for 5"):
        made(plain, 5, tmp_path, arrival=arrival)
    lengths = kept(tmp_path, AZURE, "azure.csv")
    other = made({"kind": "trace", **lengths}, 3, tmp_path, arrival=arrival)
    assert [(len(r.input_ids), r.at_s) for r in other] == [(374, 0.0), (396, 0.0), (2, 3.053)]


def test_a_short_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gives 3 requests \(1 left out"):
        made({"kind": "trace", **kept(tmp_path, AZURE, "azure.csv")}, 4, tmp_path)


HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROW = '{"timestamp": 5, "input_length": 9, "output_length": 9'
BROKEN = [
    ("", "gives 0 requests"),
    ("a,b,c\n1,2,3\n", ":1: is neither Mooncake's JSON lines nor Azure's CSV"),
    (HEAD + "2023-11-16 18:15:46,1\n", ":2: has 2 cells, not 3"),
    (HEAD + "yesterday,1,2\n", ":2: TIMESTAMP 'yesterday' is no time"),
    (HEAD + "2023-11-16 18:15:46,-1,2\n", ":2: ContextTokens must be from 0"),
    (HEAD + "2023-11-16 18:15:46,1,nan\n", ":2: GeneratedTokens must be a whole number"),
    (HEAD + "2023-11-16 18:15:46,1,inf\n", ":2: GeneratedTokens must be a whole number"),
    (HEAD + "2023-11-16 18:15:46,1,1e300\n", ":2: GeneratedTokens must be from 0"),
    (HEAD + "2023-11-16 18:15:46,1.5,1\n", ":2: ContextTokens must be a whole number"),
    (HEAD + f"2023-11-16 18:15:46,{'9' * 400},1\n", ":2: ContextTokens must be a whole number"),
    (HEAD + '"2023-11-16 18:15:46,1,1\n', ":2: is not a line of CSV"),
    (HEAD + "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n", ":3: is earlier than the line"),
    (HEAD + "2023-13-16 18:15:46,1,1\n", ":2: TIMESTAMP '2023-13-16 18:15:46' is no time"),
    (ROW + ', "hash_ids": [1, 2]}', ":1: has 2 hash_ids, more than input_length"),
    (ROW + ', "hash_ids": ["a"]}', "hash_ids must be a list of whole numbers"),
    (ROW + ', "hash_ids": [true]}', "hash_ids must be a list of whole numbers"),
    (ROW + ', "hash_ids": 3}', "hash_ids must be a list of whole numbers"),
    (ROW.replace("5", '"5"') + "}", "timestamp must be a number of milliseconds"),
    (ROW.replace("5", "-1") + "}", "timestamp must be a number of milliseconds"),
    (ROW.replace("5", "1e999") + "}", "timestamp must be a number of milliseconds"),
    (ROW.replace("5", "9" * 400) + "}", "timestamp must be a number of milliseconds"),
    (ROW.replace("5", "NaN") + "}", "NaN is not a number"),
    (ROW.replace("9", "99999999") + "}", "input_length must be from 0 to 16,777,216"),
    ('{"timestamp": 5, "output_length": 3}', "input_length must be a whole number"),
    (ROW + "}\n" + ROW.replace("5", "4") + "}", ":2: is earlier than the line before"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), BROKEN, ids=[w for _, w in BROKEN])
def test_broken_traces_are_refused_with_their_line(
    tmp_path: Path, content: str, words: str
) -> None:
    file = kept(tmp_path, content, "t")
    with pytest.raises(BadInput) as e:
        made({"kind": "trace", **file}, 9, tmp_path)
    assert words in str(e.value) and str(e.value).startswith("t:")
