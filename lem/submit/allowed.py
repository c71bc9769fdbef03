"""The allow-list: what becomes of every field of a record, a lock and a failure.

A field that does not stand here is never sent: ``public`` refuses its document, and a test fails
until somebody decides. Everything is decided by what the field is, nothing by searching for bad
words; that is a second net (``leaks.py``).
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from lem.contract import failure, lock, record, spec, workload
from lem.contract.base import Part
from lem.submit.telling import looks_like, private_in
from lem.submit.veil import Veil, campaign_of

Fate = Literal["sent", "replaced", "withheld"]

TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:,=+-]{0,159}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_!~ -]{0,60}", re.ASCII)
PRODUCT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()/@.,:+_-]{0,119}", re.ASCII)
FACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:,=+()-]{0,79}", re.ASCII)
LABEL = re.compile(r"[\w.<>\[\]-][\w ·…./:,=+#@<>()\[\]'\"{}-]{0,299}")
DIGEST = re.compile(r"(?:[A-Za-z0-9._-]{1,60}@)?sha256:[0-9a-f]{64}", re.ASCII)
_KERNEL = re.compile(r"\d{1,3}(?:\.\d{1,5}){0,2}", re.ASCII)


class NotPublic(Exception):
    """A value that cannot be sent and has nothing that could stand in for it."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path


class Rule(NamedTuple):
    fate: Fate
    words: str
    """What is sent, for whoever reads it before sending."""
    apply: Callable[[Any, Veil], Any]
    """The value as JSON. Raises :class:`NotPublic`."""


def public(part: Part, veil: Veil) -> dict[str, Any]:
    """A part of a document as it may be sent, as JSON. Raises :class:`NotPublic` with its path."""
    rules = RULES.get(type(part))
    if rules is None:
        raise NotPublic(f"nobody has decided what of {type(part).__name__} may be sent")
    result = {}
    for name in type(part).model_fields:
        if name not in rules:
            raise NotPublic("nobody has decided whether this may be sent", name)
        try:
            result[name] = rules[name].apply(getattr(part, name), veil)
        except NotPublic as e:
            raise NotPublic(e.why, f"{name}.{e.path}" if e.path else name) from e
    return result


def _sent(value: Any, veil: Veil) -> Any:
    """Numbers, tokens, and whatever is made of them."""
    if isinstance(value, Part):
        return public(value, veil)
    if isinstance(value, list | tuple):
        return [_sent(v, veil) for v in value]
    if isinstance(value, dict):
        return {_sent(k, veil): _sent(v, veil) for k, v in value.items()}
    if isinstance(value, str) and value and TOKEN.fullmatch(value) is None:
        raise NotPublic(f"{value[:80]!r} is not a plain name or number")
    return value


def _choice(value: Any, veil: Veil) -> Any:
    """One of the words that the contract has for it."""
    return value


def _matching(pattern: re.Pattern[str], other: Any) -> Callable[[Any, Veil], Any]:
    def apply(value: Any, veil: Veil) -> Any:
        fits = isinstance(value, str) and pattern.fullmatch(value) and looks_like(value) is None
        return value if fits or value is None else other

    return apply


def _facts(pattern: re.Pattern[str]) -> Callable[[Any, Veil], Any]:
    """Of a mapping what is a number or a short plain text; the rest is left out."""

    def told(value: Any) -> bool:
        return not isinstance(value, str) or bool(pattern.fullmatch(value))

    def apply(value: Any, veil: Veil) -> Any:
        return {k: v for k, v in value.items() if FACT.fullmatch(k) and told(v)}

    return apply


def _each(one: Callable[[Any, Veil], Any]) -> Callable[[Any, Veil], Any]:
    return lambda value, veil: [one(v, veil) for v in value]


def _constant(other: Any) -> Callable[[Any, Veil], Any]:
    return lambda value, veil: other


def _device(value: Any, veil: Veil) -> Any:
    if isinstance(value, dict):
        return {veil.device(k): v for k, v in value.items()}
    return None if value is None else veil.device(value)


def _calibrated(value: Any, veil: Veil) -> Any:
    """Boards by their salted hash, in the form that UUIDs have."""
    return {
        "GPU-" + veil.board(uuid).removeprefix("board-"): public(gain, veil)
        for uuid, gain in value.items()
    }


def _kernel(value: Any, veil: Veil) -> Any:
    found = _KERNEL.match(value)
    return found.group() if found else ""


def _campaign(value: Any, veil: Veil) -> Any:
    if NAME.fullmatch(value) is None:
        raise NotPublic("the campaign's name is not letters, digits, '.', '_' and '-' (at most 80)")
    return value


def _experiment(value: spec.Experiment, veil: Veil) -> Any:
    """As it is: its hash is its identity. Refused where a text in it tells too much."""
    raw = value.model_dump(mode="json")
    for path, what in private_in(raw):
        raise NotPublic(f"looks like {what}", path)
    return raw


def _settings(value: Any, veil: Veil) -> Any:
    """Where a local model was swept, its path stands here; what it is called, in the experiment."""
    for path, what in private_in({k: v for k, v in value.items() if k != "model.id"}):
        raise NotPublic(f"looks like {what}", path)
    raw = dict(value)
    if isinstance(name := raw.get("model.id"), str) and looks_like(name) is not None:
        raw["model.id"] = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return raw


SENT = Rule("sent", "numbers and plain names", _sent)
CHOICE = Rule("sent", "a word of lem's own", _choice)
# The contract lets nothing but these digits in, however many questions there are.
OUTCOMES = Rule("sent", "0 or 1 for each question", _choice)
EXPERIMENT = Rule("sent", "as it is, and refused where it names paths or servers", _experiment)
BOARD = Rule("replaced", "salted hash of the board's UUID", lambda v, veil: veil.board(v))
BOARDS = Rule("replaced", BOARD.words, _each(lambda v, veil: veil.board(v)))
BOOT = Rule("replaced", "keyed hash", lambda v, veil: veil.boot(v))
DEVICE = Rule("replaced", "its name where that is plain, else a number", _device)
PRODUCT_NAME = Rule("sent", "what its maker calls it", _matching(PRODUCT, ""))
PRODUCT_NAMES = Rule("sent", PRODUCT_NAME.words, _each(_matching(PRODUCT, "")))
VERSION_NAME = Rule("sent", "version", _matching(VERSION, ""))
VERSIONS = Rule("sent", "versions that look like ones", _facts(VERSION))
FACTS = Rule("sent", "numbers and short plain words; others are left out", _facts(FACT))
BLANK = Rule("withheld", "free text", _constant(""))
PLACE = Rule("withheld", "a path", _constant(""))
NOTHING = Rule("withheld", "not told", _constant(None))
NONE_OF_THEM = Rule("withheld", "free text", _constant([]))
NAMES_ONLY = Rule(
    "replaced", "which; not why", lambda v, veil: {k: "" for k in v if TOKEN.fullmatch(k)}
)


def _of(**groups: Rule) -> dict[str, Rule]:
    return {name: rule for names, rule in groups.items() for name in names.split()}


def _all(cls: type[Part], names: str, **others: Rule) -> dict[type[Part], dict[str, Rule]]:
    """``names`` are sent; ``others`` have rules of their own."""
    return {cls: {**dict.fromkeys(names.split(), SENT), **others}}


_RECORD = {
    **_all(
        record.Record,
        "schema_version metric_semantics_version run_id experiment_id arm_id block block_pass"
        " attempt started_at ended_at environment meters measurement warm_up_s load_s windows idle"
        " metrics quality flags whole_batches warm_up prefill answering reconciliation client"
        " requests rate_search",
        campaign=Rule("sent", "the campaign's name", _campaign),
        experiment=EXPERIMENT,
        meters_unavailable=NAMES_ONLY,
    ),
    **_all(
        record.EnergyReading,
        "meter device_class energy_j uncertainty_j budget_j flags power_ratio",
        device=DEVICE,
    ),
    **_all(
        record.Window,
        "start_ns end_ns requests input_tokens output_tokens energy cpu_time_s foreign_cpu_time_s"
        " cpu_time_uncertainty_s input_tokens_uncertainty output_tokens_uncertainty"
        " requests_uncertainty sent failed timed_out good",
        temperature_c=DEVICE,
    ),
    **_all(record.Idle, "start_ns end_ns energy"),
    **_all(record.WarmUp, "windows spread settled"),
    **_all(record.Value, "value uncertainty"),
    **_all(record.Distribution, "n mean p50 p90 p99 p95"),
    **_all(
        record.Gpu,
        "index memory_bytes power_limit_w clocks_mhz mig temperature_c",
        name=PRODUCT_NAME,
        uuid=BOARD,
        driver=VERSION_NAME,
        partitions=PRODUCT_NAMES,
    ),
    **_all(record.Allocation, "scheduler cpus node_cpus restarts"),
    **_all(
        record.Environment,
        "contract_version cpu_count memory_bytes container launcher gpus engine commentary_s "
        "allocation",
        lem_version=VERSION_NAME,
        boot_id=BOOT,
        os=PRODUCT_NAME,
        kernel=Rule("replaced", "its numbers alone", _kernel),
        python=VERSION_NAME,
        cpu_model=PRODUCT_NAME,
        cpu_governor=Rule("sent", "one plain word", _matching(NAME, None)),
        image_digest=Rule("sent", "the image's sha256", _matching(DIGEST, None)),
        device_set=BOARDS,
        device_set_names=PRODUCT_NAMES,
        engine_version=VERSION_NAME,
        engine_resolved=FACTS,
        libraries=VERSIONS,
        confinement=FACTS,
    ),
    **_all(
        record.AccuracyResult,
        "questions_sha256 questions correct value low high metrics",
        outcomes=OUTCOMES,
        metric=Rule("sent", "one plain word", _matching(TOKEN, None)),
        scored_by=CHOICE,
    ),
    **_all(
        record.Quality,
        "nll_per_token text_sha256 tokens agreement_sha256 accuracy",
        sample=Rule("withheld", "the beginning of an answer", _constant(None)),
    ),
    **_all(
        record.MeterInfo,
        "meter device_class quantity unit update_period_s calibration relative_uncertainty",
        device=DEVICE,
        description=BLANK,
        part_of=DEVICE,
    ),
    **_all(record.RequestCounts, "sent done failed timed_out"),
    **_all(record.RateTrial, "rate_per_s requests good overloaded kept seconds"),
    **_all(record.RateSearch, "rate_per_s missed_per_s bound_hit complete trials"),
    **_all(
        record.View,
        "meter energy_j uncertainty_j flags",
        devices=Rule("replaced", DEVICE.words, _each(_device)),
    ),
    **_all(
        record.Reconciliation,
        "relation first second ratio uncertainty agrees",
        what=DEVICE,
    ),
}

_SPEC = {
    **_all(
        spec.Measurement,
        "windows window_s idle_s warm_up_cap_s sample_interval_s quality accuracy meters"
        " watts_per_busy_core calibration settle_s prefill_window cool_down",
    ),
    **_all(
        spec.Accuracy,
        "fewshot limit output_tokens metric sha256",
        path=NOTHING,
        task=Rule("sent", "one plain word", _matching(TOKEN, None)),
        include_path=NOTHING,
    ),
    **_all(
        spec.Calibration,
        "sha256",
        boards=Rule("replaced", "by salted hashes of the boards' UUIDs", _calibrated),
    ),
    **_all(
        spec.BoardGain,
        "gain uncertainty date",
        against=Rule("withheld", "free text", _constant("withheld")),
    ),
    **_all(
        spec.AppliedGain,
        "gain uncertainty date sha256",
        against=Rule("withheld", "free text", _constant("withheld")),
    ),
    **_all(spec.CoolDown, "below_c cap_s"),
    **_all(spec.Limits, "load_s run_s memory_bytes pids"),
}

_LOCK = {
    **_all(
        lock.Lock,
        "schema_version created_at campaign_digest overrides arms baseline backends requests seed"
        " blocks precision max_blocks time_budget_s same_within quality_margin preset measure"
        " limits gpus trust_remote_code adaptive",
        lem_version=VERSION_NAME,
        name=Rule("sent", "the campaign's name", _campaign),
        owner=Rule("replaced", "hash", lambda v, veil: campaign_of(v, veil.salt)),
        device_set=BOARDS,
        notes=NONE_OF_THEM,
    ),
    **_all(
        lock.Arm,
        "arm_id experiment_id model launcher agreement_list questions_list gpu_count generation",
        label=Rule("sent", "where it is plain", _matching(LABEL, "")),
        settings=Rule("sent", "as in its experiment", _settings),
        experiment=EXPERIMENT,
    ),
    **_all(lock.LockedModel, "", folder=PLACE, path=PLACE),
    **_all(
        lock.LockedBackend,
        "",
        image=NOTHING,
        base_image=NOTHING,
        python=NOTHING,
        digest=Rule("sent", "the image's sha256", _matching(DIGEST, None)),
        engine_version=VERSION_NAME,
        libraries=VERSIONS,
    ),
    **_all(lock.Overrides, "preset blocks launcher"),
    **_all(lock.Adaptive, "kind budget generation objectives seed"),
}

_FAILURE = _all(
    failure.Failure,
    "schema_version run_id arm_id block block_pass attempt kind phase written_by started_at"
    " ended_at",
    message=BLANK,
    last_lines=NONE_OF_THEM,
    hint=NOTHING,
    boot_id=BOOT,
    device_set=BOARDS,
)

RULES: dict[type[Part], dict[str, Rule]] = {**_RECORD, **_SPEC, **_LOCK, **_FAILURE}

OF_EXPERIMENTS: dict[type[Part], str] = {
    spec.Experiment: "model backend engine_version engine args generate workload requests_sha256"
    " device",
    spec.ExperimentModel: "id revision content weights",
    spec.DeviceSettings: "power_limit_w sm_clock_mhz",
    workload.Workload: "requests dataset arrival slo",
    workload.RandomDataset: "kind input_tokens output_tokens prefix_tokens prefixes turns",
    workload.PromptsDataset: "kind output_tokens max_input_tokens",
    workload.LongContextDataset: "kind input_tokens output_tokens",
    workload.JsonlDataset: "path sha256 kind output_tokens max_input_tokens",
    workload.ShareGptDataset: "path sha256 kind output_tokens max_input_tokens max_total_tokens"
    " turns",
    workload.TraceDataset: "path sha256 kind max_input_tokens",
    workload.Uniform: "distribution low high",
    workload.LogNormal: "distribution median sigma low high",
    workload.Offline: "kind",
    workload.Concurrency: "kind concurrency",
    workload.Constant: "kind rate",
    workload.Poisson: "kind rate",
    workload.Gamma: "kind rate burstiness",
    workload.TraceArrival: "path sha256 kind speed",
    workload.Search: "search low high attainment trial_s",
    workload.Slo: "ttft_ms itl_ms tpot_ms e2e_ms",
}
"""Fields of an experiment, sent untouched because its hash is its identity: that their texts tell
nothing is checked (``telling.py``), one that does is refused."""
