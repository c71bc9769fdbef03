"""A runner that is none: posts what a campaign on two GPUs would tell, ten times a second.

``python -m bench.live.runner URL QUEUED FENCE SECONDS``, with the token on standard input. Prints
how many batches were taken, and how long a post took, as JSON.
"""

import json
import math
import random
import sys
import time
from typing import Any

import httpx

EVERY_S = 0.1
WORDS = ["energy", "per", "token", "is", "what", "counts", "—", "naïve", "Größe", "日本", "\n"]


def events(step: int, joules: list[float]) -> list[dict[str, Any]]:
    """Power of two devices, tokens, and pieces of four answers."""
    at = time.time_ns() // 10**6
    found: list[dict[str, Any]] = []
    for device in range(2):
        watts = round(300 + 80 * math.sin(step / 20 + device) + random.uniform(-5, 5), 3)
        joules[device] += watts * EVERY_S
        found.append(
            {
                "k": "power",
                "at": at,
                "device": f"gpu{device}",
                "device_class": "gpu",
                "estimated": False,
                "w": watts,
                "j": round(joules[device], 3),
            }
        )
    found.append({"k": "tokens", "at": at, "n": step * 40, "per_s": 400.0})
    for answer in range(4):
        text = " ".join(random.choices(WORDS, k=3))
        request = f"r{step // 50}-{answer}"
        ends = step % 50 == 49
        found.append({"k": "text", "at": at, "request": request, "text": text, "end": ends})
    return found


def main(url: str, queued: str, fence: int, seconds: float, token: str) -> dict[str, Any]:
    took: list[float] = []
    joules = [0.0, 0.0]
    number = refused = 0
    start = time.monotonic()
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        while time.monotonic() - start < seconds:
            batch = {"queued": queued, "fence": fence, "number": number}
            body = json.dumps({**batch, "events": events(number, joules)})
            began = time.monotonic()
            answer = client.post(f"{url}/api/v1/runners/events", content=body)
            took.append(time.monotonic() - began)
            refused += answer.status_code != 200
            if answer.status_code == 200:
                number = answer.json()["next"]
            time.sleep(max(0.0, start + (number + refused) * EVERY_S - time.monotonic()))
    took.sort()
    return {
        "batches": number,
        "refused": refused,
        "post_p50_ms": 1e3 * took[len(took) // 2],
        "post_p99_ms": 1e3 * took[len(took) * 99 // 100],
    }


if __name__ == "__main__":
    url, queued, fence, seconds = sys.argv[1:]
    token = sys.stdin.readline().strip()
    print(json.dumps(main(url, queued, int(fence), float(seconds), token)))
