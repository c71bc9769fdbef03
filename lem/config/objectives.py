"""Service-level objectives as a campaign file may write them."""

from typing import Any

SLO_PRESETS: dict[str, dict[str, float]] = {
    "llama-3.1-8b": {"ttft_ms": 2000, "itl_ms": 100},
    "llama-3.1-8b-interactive": {"ttft_ms": 500, "itl_ms": 30},
    "llama-2-70b": {"ttft_ms": 2000, "itl_ms": 200},
    "llama-2-70b-interactive": {"ttft_ms": 450, "itl_ms": 40},
    "deepseek-r1": {"ttft_ms": 2000, "itl_ms": 80},
    "gpt-oss-120b": {"ttft_ms": 3000, "itl_ms": 80},
}
"""TTFT and TPOT limits of MLPerf Inference's server scenario (mlcommons/inference_policies,
inference_rules.adoc, as of 2026-07-23, which wants them kept by 99 % of the requests)."""


def spelled_out(slo: Any) -> Any:
    """In one spelling: a preset's name as its limits, ``tpot_ms`` as ``itl_ms``, which is the same
    limit. What is neither is left as it is, for the schema to refuse."""
    if isinstance(slo, str) and slo in SLO_PRESETS:
        return dict(SLO_PRESETS[slo])
    if not isinstance(slo, dict) or slo.get("tpot_ms") is None:
        return slo
    rest = {k: v for k, v in slo.items() if k != "tpot_ms"}
    if rest.get("itl_ms", slo["tpot_ms"]) != slo["tpot_ms"]:
        return slo
    return {**rest, "itl_ms": slo["tpot_ms"]}
